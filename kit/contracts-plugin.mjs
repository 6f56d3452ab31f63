// A plugin of buf: puts all contracts, with their comments, beside what is generated from them. Plain JavaScript,
// because it runs with whatever Node there is at install.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponse_Feature,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

const { protoFile } = fromBinary(CodeGeneratorRequestSchema, await buffer(process.stdin));
// What the kit's own tests are written against is not published.
const published = protoFile.filter(({ name }) => !existsSync(join('kit/testing/proto', name)));
const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: published }));
const file = [{ name: 'contracts.base64', content: Buffer.from(set).toString('base64') }];
const supportedFeatures = BigInt(CodeGeneratorResponse_Feature.PROTO3_OPTIONAL);
process.stdout.write(
  toBinary(CodeGeneratorResponseSchema, create(CodeGeneratorResponseSchema, { file, supportedFeatures })),
);

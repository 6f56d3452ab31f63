// A plugin of buf: puts all contracts, with their comments, beside what is generated from them, and a list of those
// that have events. Plain JavaScript, because it runs with whatever Node there is at install.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { create, createFileRegistry, fromBinary, hasExtension, toBinary } from '@bufbuild/protobuf';
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponse_Feature,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

const { protoFile } = fromBinary(CodeGeneratorRequestSchema, await buffer(process.stdin));
// What the kit's own tests are written against is not published.
const published = protoFile.filter(({ name }) => !existsSync(join('kit/testing/proto', name)));
const set = create(FileDescriptorSetSchema, { file: published });
const file = [
  { name: 'contracts.base64', content: Buffer.from(toBinary(FileDescriptorSetSchema, set)).toString('base64') },
  { name: 'events.js', content: eventsModule(pathsWithEvents(set)) },
  { name: 'events.d.ts', content: eventsTypes() },
];
const supportedFeatures = BigInt(CodeGeneratorResponse_Feature.PROTO3_OPTIONAL);
process.stdout.write(
  toBinary(CodeGeneratorResponseSchema, create(CodeGeneratorResponseSchema, { file, supportedFeatures })),
);

/** The files, without their ending, in which a message is marked as an event. */
function pathsWithEvents(set) {
  const registry = createFileRegistry(set);
  const isEvent = registry.getExtension('causeway.events.v1.event');
  const isMarked = ({ proto }) => proto.options !== undefined && hasExtension(proto.options, isEvent);
  return [...registry.files]
    .filter(({ messages }) => messages.some(isMarked))
    .map(({ name }) => name)
    .sort();
}

function eventsModule(paths) {
  const names = paths.map((path) => `file_${path.replaceAll('/', '_')}`);
  const imports = paths.map((path, index) => `import { ${names[index]} } from './${path}_pb.js';`);
  return `import { createRegistry } from '@bufbuild/protobuf';
${imports.join('\n')}

export const eventFiles = [
  ${names.join(',\n  ')},
];

export const eventRegistry = createRegistry(...eventFiles);
`;
}

function eventsTypes() {
  return `import type { DescFile, Registry } from '@bufbuild/protobuf';

/** Every contract that has events. */
export declare const eventFiles: readonly DescFile[];

/** What may stand in a journal, or among the dead letters: JSON needs to know the types. */
export declare const eventRegistry: Registry;
`;
}

import { fromBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials } from '@grpc/grpc-js';
import { bytes, manyBytes, text, wireFields } from '../wire-fields.ts';

export type ReflectionVersion = 'v1' | 'v1alpha';

/** Field numbers of ServerReflectionRequest and -Response; the same in both versions of the protocol. */
const Ask = { fileByFilename: 3, fileContainingSymbol: 4, listServices: 7 } as const;
const Answer = { files: 4, services: 6, error: 7 } as const;

/** Asks a server for its contracts, by either version of the protocol and nothing but bytes. */
export class ReflectionClient {
  readonly #client: Client;
  readonly #path: string;

  constructor(address: string, version: ReflectionVersion) {
    this.#client = new Client(address, credentials.createInsecure());
    this.#path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  }

  async services(): Promise<string[]> {
    const listed = wireFields(bytes(await this.#ask(Ask.listServices, '*'), Answer.services));
    return manyBytes(listed, 1).map((service) => text(wireFields(service), 1));
  }

  /** The file in which a symbol is declared. @throws Error with what the server said, where it knows none. */
  async fileOf(symbol: string): Promise<FileDescriptorProto> {
    return this.#file(Ask.fileContainingSymbol, symbol);
  }

  async fileNamed(name: string): Promise<FileDescriptorProto> {
    return this.#file(Ask.fileByFilename, name);
  }

  close(): void {
    this.#client.close();
  }

  async #file(field: number, value: string): Promise<FileDescriptorProto> {
    const answer = await this.#ask(field, value);
    if (answer.has(Answer.error)) throw new Error(text(wireFields(bytes(answer, Answer.error)), 2));
    const [file] = manyBytes(wireFields(bytes(answer, Answer.files)), 1);
    return fromBinary(FileDescriptorProtoSchema, file ?? new Uint8Array());
  }

  async #ask(field: number, value: string) {
    const plain = (message: Buffer) => message;
    const stream = this.#client.makeBidiStreamRequest<Buffer, Buffer>(this.#path, plain, plain);
    stream.end(Buffer.from(new BinaryWriter().tag(field, WireType.LengthDelimited).string(value).finish()));
    try {
      for await (const answer of stream) return wireFields(answer as Buffer);
      throw new Error('the server answered nothing');
    } finally {
      stream.cancel();
    }
  }
}

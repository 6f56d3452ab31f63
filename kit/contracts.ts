import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescMessage,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { UnavailableError } from './errors.ts';
import { eventsIn } from './event.ts';

/** Made by `buf generate`, as all that is beside it. */
const FILE = new URL('../gen/contracts.base64', import.meta.url);

/** Field numbers of descriptor.proto: what a path to a comment is made of. */
const MESSAGES = 4;
const ENUMS = 5;
const FIELDS = 2;

/** All contracts of the platform with what is said in them in words, which generated code has not. */
export class Contracts {
  readonly #registry: FileRegistry;
  readonly #comments = new Map<string, string>();

  /** @param encoded a google.protobuf.FileDescriptorSet with its source information. */
  constructor(encoded: Uint8Array) {
    this.#registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, encoded));
    for (const { proto } of this.#registry.files) {
      for (const { path, leadingComments } of proto.sourceCodeInfo?.location ?? []) {
        if (leadingComments !== '') this.#comments.set(commentKey(proto.name, path), inOneLine(leadingComments));
      }
    }
  }

  /** Every message that is marked as an event, by name. */
  events(): DescMessage[] {
    return [...this.#registry.files]
      .flatMap((file) => eventsIn(file))
      .sort((one, other) => one.typeName.localeCompare(other.typeName));
  }

  /** The message of this full name. */
  message(typeName: string): DescMessage | undefined {
    return this.#registry.getMessage(typeName);
  }

  /** What the contract says of it in words; empty where it says nothing. */
  commentOf(desc: DescMessage | DescEnum | DescField): string {
    const owner = desc.kind === 'field' ? desc.parent : desc;
    const path = pathOf(owner);
    if (desc.kind === 'field') path.push(FIELDS, desc.parent.proto.field.indexOf(desc.proto));
    return this.#comments.get(commentKey(owner.file.proto.name, path)) ?? '';
  }
}

let read: Contracts | undefined;

/**
 * The contracts that this program was made with.
 * @throws UnavailableError where they are not beside it.
 */
export function ownContracts(): Contracts {
  try {
    read ??= new Contracts(Buffer.from(readFileSync(FILE, 'utf8'), 'base64'));
    return read;
  } catch (cause) {
    throw new UnavailableError('gen/contracts.base64 can not be read: npx buf generate makes it', { cause });
  }
}

/** Where a message or enum stands in its file: at the top, or in another message. */
function pathOf(desc: DescMessage | DescEnum): number[] {
  const { parent, file } = desc;
  const isEnum = desc.kind === 'enum';
  if (parent === undefined) {
    return isEnum
      ? [ENUMS, file.proto.enumType.indexOf(desc.proto)]
      : [MESSAGES, file.proto.messageType.indexOf(desc.proto)];
  }
  // DescriptorProto.enum_type is 4, nested_type is 3.
  const inside = isEnum
    ? [4, parent.proto.enumType.indexOf(desc.proto)]
    : [3, parent.proto.nestedType.indexOf(desc.proto)];
  return [...pathOf(parent), ...inside];
}

function commentKey(file: string, path: readonly number[]): string {
  return `${file} ${path.join('.')}`;
}

/** Lines of a comment end where the file's lines do. */
function inOneLine(comment: string): string {
  return comment.trim().replaceAll(/\s*\n\s*/g, ' ');
}

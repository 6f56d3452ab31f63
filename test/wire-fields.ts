import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** Numbers as they stand on the wire, everything else as bytes. */
export type WireFields = Map<number, (bigint | Uint8Array)[]>;

/** The fields of an encoded message by number: for protocols that the platform speaks and has no contract of. */
export function wireFields(bytes: Uint8Array): WireFields {
  const reader = new BinaryReader(bytes);
  const fields: WireFields = new Map();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    fields.set(number, [...(fields.get(number) ?? []), value(reader, type)]);
  }
  return fields;
}

function value(reader: BinaryReader, type: WireType): bigint | Uint8Array {
  switch (type) {
    case WireType.Varint:
      return BigInt(reader.uint64());
    case WireType.Bit64:
      return BigInt(reader.fixed64());
    case WireType.LengthDelimited:
      return reader.bytes();
    case WireType.Bit32:
      return BigInt(reader.fixed32());
    default:
      throw new Error(`wire type ${type} is not used by any of them`);
  }
}

/** The embedded messages, or bytes, of a repeated field. */
export function manyBytes(fields: WireFields, number: number): Uint8Array[] {
  return (fields.get(number) ?? []).filter((each) => typeof each !== 'bigint');
}

/** An embedded message, or bytes; empty where the field is not there. */
export function bytes(fields: WireFields, number: number): Uint8Array {
  return manyBytes(fields, number).at(-1) ?? new Uint8Array();
}

export function text(fields: WireFields, number: number): string {
  return Buffer.from(bytes(fields, number)).toString();
}

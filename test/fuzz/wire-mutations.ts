import { oneOf, type Random } from '../chaos/random.ts';

type Mutation = (bytes: Buffer, random: Random) => Buffer;

const anywhere = (bytes: Buffer, random: Random) => Math.floor(random() * (bytes.length + 1));
const inserted = (bytes: Buffer, at: number, added: Buffer) =>
  Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at)]);
const key = (field: number, wireType: number) => varint(BigInt(field) * 8n + BigInt(wireType));

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let left = value;
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
    left >>= 7n;
  } while (left > 0n);
  return Buffer.from(bytes);
}

const delimited = (field: number, value: Buffer) => Buffer.concat([key(field, 2), varint(BigInt(value.length)), value]);

const truncated: Mutation = (bytes, random) => bytes.subarray(0, Math.floor(random() * bytes.length));

const flipped: Mutation = (bytes, random) => {
  const changed = Buffer.from(bytes);
  for (let flips = 1 + random() * 4; flips > 1 && changed.length > 0; flips--) {
    const at = Math.floor(random() * changed.length);
    changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  }
  return changed;
};

const unknownField: Mutation = (bytes, random) =>
  Buffer.concat([
    bytes,
    delimited(oneOf(random, [15, 1_000, 19_000, 2 ** 29 - 1]), Buffer.alloc(oneOf(random, [0, 9, 60_000]))),
  ]);

const manyUnknownFields: Mutation = (bytes, random) =>
  Buffer.concat([bytes, Buffer.alloc(oneOf(random, [1_000, 200_000]), Buffer.concat([key(99, 0), varint(1n)]))]);

const wrongWireType: Mutation = (bytes, random) => {
  const field = 1 + Math.floor(random() * 8);
  const value = { 0: varint(5n), 1: Buffer.alloc(8, 1), 2: delimited(1, Buffer.from('x')), 5: Buffer.alloc(4, 1) };
  const wireType = oneOf(random, [0, 1, 2, 5] as const);
  return Buffer.concat([
    bytes,
    wireType === 2 ? delimited(field, value[2]) : Buffer.concat([key(field, wireType), value[wireType]]),
  ]);
};

const noWireType: Mutation = (bytes, random) => Buffer.concat([bytes, key(1, oneOf(random, [6, 7])), Buffer.from('x')]);

const fieldZero: Mutation = (bytes) => Buffer.concat([bytes, Buffer.of(0, 0), Buffer.of(2, 1, 1)]);

const hugeVarint: Mutation = (bytes, random) =>
  Buffer.concat([
    bytes,
    key(1 + Math.floor(random() * 6), 0),
    Buffer.alloc(oneOf(random, [9, 10, 11, 30]), 0xff),
    Buffer.of(1),
  ]);

const hugeLength: Mutation = (bytes, random) =>
  Buffer.concat([
    bytes,
    key(1 + Math.floor(random() * 6), 2),
    varint(oneOf(random, [100n, 2n ** 31n - 1n, 2n ** 32n, 2n ** 63n])),
  ]);

const invalidUtf8: Mutation = (bytes, random) =>
  Buffer.concat([
    bytes,
    delimited(
      1 + Math.floor(random() * 6),
      oneOf(random, [Buffer.of(0xff, 0xfe), Buffer.of(0xc0, 0x80), Buffer.of(0xed, 0xa0, 0x80)]),
    ),
  ]);

/** The last one counts, by the rules of the encoding. */
const repeatedSingular: Mutation = (bytes) => Buffer.concat([bytes, bytes, bytes]);

const openedGroups: Mutation = (bytes, random) =>
  Buffer.concat([bytes, Buffer.alloc(oneOf(random, [1, 99, 101, 20_000, 300_000]), key(oneOf(random, [1, 4, 9]), 3))]);

const closedGroup: Mutation = (bytes, random) => inserted(bytes, anywhere(bytes, random), key(3, 4));

/** Messages in messages: in a field that is one, or that nobody knows. */
const nested: Mutation = (bytes, random) => {
  const field = oneOf(random, [1, 3, 4, 7, 200]);
  let inner: Buffer = Buffer.alloc(0);
  for (let depth = oneOf(random, [5, 99, 101, 2_000]); depth > 0; depth--) inner = delimited(field, inner);
  return Buffer.concat([bytes, inner]);
};

/** A list of numbers in the form in which it is packed. */
const packed: Mutation = (bytes, random) =>
  Buffer.concat([bytes, delimited(1 + Math.floor(random() * 8), Buffer.alloc(oneOf(random, [3, 100_000]), 0x81))]);

const noise: Mutation = (_, random) =>
  Buffer.from(Array.from({ length: Math.floor(random() * 400) }, () => Math.floor(random() * 256)));

const mutations: readonly Mutation[] = [
  truncated,
  truncated,
  flipped,
  flipped,
  unknownField,
  manyUnknownFields,
  wrongWireType,
  noWireType,
  fieldZero,
  hugeVarint,
  hugeLength,
  invalidUtf8,
  repeatedSingular,
  openedGroups,
  closedGroup,
  nested,
  packed,
  noise,
];

/** An encoded message that is not quite one any more. */
export function mutatedWire(bytes: Uint8Array, random: Random): Buffer {
  return oneOf(random, mutations)(Buffer.from(bytes), random);
}

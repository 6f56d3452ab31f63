import { deflateSync, gzipSync } from 'node:zlib';
import { oneOf, type Random } from '../chaos/random.ts';

const COMPRESSED = 1;
/** Connect's end of a stream, gRPC-Web's trailers. */
const FLAGS = [0, COMPRESSED, 2, 3, 64, 128, 129, 255];

/** A message of gRPC and of Connect's streams: a byte of flags, four of length, then the message. */
export function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

let bomb: Buffer | undefined;

/** 64 MiB of nothing in 64 KiB. */
export function zipBomb(): Buffer {
  bomb ??= gzipSync(Buffer.alloc(64 * 1024 ** 2));
  return bomb;
}

type Mutation = (message: Uint8Array, random: Random) => Buffer;

const wrongFlag: Mutation = (message, random) => framed(message, oneOf(random, FLAGS));
const wrongLength: Mutation = (message, random) =>
  framed(message, 0, oneOf(random, [0, 1, message.length + 1, 2 ** 20, 2 ** 31, 2 ** 32 - 1]));
const noFrame: Mutation = (message) => Buffer.from(message);
const nothing: Mutation = () => Buffer.alloc(0);
const halfAHead: Mutation = (message, random) => framed(message).subarray(0, Math.floor(random() * 5));
const cut: Mutation = (message, random) => framed(message).subarray(0, 5 + Math.floor(random() * message.length));
const twice: Mutation = (message) => Buffer.concat([framed(message), framed(message)]);
const manyEmpty: Mutation = () => Buffer.alloc(5 * 2_000);
const followed: Mutation = (message) => Buffer.concat([framed(message), Buffer.from('rest')]);
const endFirst: Mutation = (message) => Buffer.concat([framed(Buffer.from('{}'), 2), framed(message)]);
const compressed: Mutation = (message) => framed(gzipSync(message), COMPRESSED);
const deflated: Mutation = (message) => framed(deflateSync(message), COMPRESSED);
const halfCompressed: Mutation = (message) => framed(gzipSync(message).subarray(0, 12), COMPRESSED);
const exploding: Mutation = () => framed(zipBomb(), COMPRESSED);
const tooLarge: Mutation = () => framed(Buffer.alloc(1024 ** 2 + 1));

const mutations: readonly Mutation[] = [
  wrongFlag,
  wrongFlag,
  wrongLength,
  wrongLength,
  noFrame,
  nothing,
  halfAHead,
  cut,
  twice,
  manyEmpty,
  followed,
  endFirst,
  compressed,
  deflated,
  halfCompressed,
];

/** A message in a frame that does not fit it. */
export function misframed(message: Uint8Array, random: Random): Buffer {
  // Large ones cost time.
  const rare = random();
  if (rare < 0.01) return exploding(message, random);
  if (rare < 0.02) return tooLarge(message, random);
  return oneOf(random, mutations)(message, random);
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

type Bytes = Uint8Array;

/** What is sent over HTTP/2: the doors of gRPC. `{customer}` and `{operator}` in a header stand for a token, made when it is sent. */
export type Http2Case = {
  by: 'http2';
  path: string;
  headers: Record<string, string>;
  body: Bytes;
  /** The client goes away so long after it has begun. */
  cancelAfterMs?: number;
};

/** What is sent by a client of HTTP/1.1 that does as it should. */
export type Http1Case = {
  by: 'http1';
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Bytes;
  cancelAfterMs?: number;
};

/** What is written to a connection as it is. */
export type RawCase = { by: 'raw'; door: 'grpc' | 'http'; bytes: Bytes };

/** @member expected the code that it is to be answered with, or the status where there is none. */
export type FuzzCase = { name: string; expected?: string } & (Http2Case | Http1Case | RawCase);

const SEEDS = join(import.meta.dirname, 'seeds');

/** As a file of test/fuzz/seeds: bytes that are no text are base64. */
export function caseToJson(fuzzCase: FuzzCase): string {
  const asText = (bytes: Bytes) => {
    const text = Buffer.from(bytes).toString();
    return Buffer.from(text).equals(bytes) && !/[^\x20-\x7e\n]/.test(text)
      ? { text }
      : { base64: Buffer.from(bytes).toString('base64') };
  };
  const json = Object.entries(fuzzCase).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? asText(value) : value,
  ]);
  return `${JSON.stringify(Object.fromEntries(json), null, 2)}\n`;
}

function caseFromJson(json: string): FuzzCase {
  return JSON.parse(json, (_, value) => {
    if (typeof value?.text === 'string') return Buffer.from(value.text);
    return typeof value?.base64 === 'string' ? Buffer.from(value.base64, 'base64') : value;
  });
}

/** Cases that once failed, and those that show a door's whole width. */
export async function keptCases(): Promise<FuzzCase[]> {
  const files = (await readdir(SEEDS)).filter((file) => file.endsWith('.json')).toSorted();
  return Promise.all(files.map(async (file) => caseFromJson(await readFile(join(SEEDS, file), 'utf8'))));
}

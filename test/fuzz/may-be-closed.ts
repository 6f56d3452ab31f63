import type { FuzzCase, RawCase } from './fuzz-case.ts';

/** Of Node's server of HTTP/2; RFC 9113, 10.5.1. */
const MAX_HEADERS = 128;
/** Of Node's server of HTTP/1: what follows may be lost with the connection. */
const MAX_HEAD_BYTES = 16 * 1024;

/** Whether who serves may end a stream or a connection without an answer to this, as the RFCs of HTTP have it. */
export function mayBeClosed(fuzzCase: FuzzCase): boolean {
  if (fuzzCase.by === 'raw') return !isWhole(fuzzCase);
  const { by, headers, body } = fuzzCase;
  const entries = Object.entries(headers);
  // RFC 9113, 8.1.1, and RFC 9112, 6.3: what follows is no request.
  if (headers['content-length'] !== undefined && Number(headers['content-length']) !== body.length) return true;
  if (by === 'http1') return entries.flat().join('    ').length > MAX_HEAD_BYTES;
  // RFC 9113, 8.3.1.
  const { host = 'x' } = headers;
  return host === '' || host.includes(' ') || entries.length > MAX_HEADERS;
}

/** Whether this is a request to the door of HTTP with nothing missing, so that there has to be an answer. */
export function isWhole({ door, bytes }: RawCase): boolean {
  if (door !== 'http') return false;
  const text = Buffer.from(bytes).toString('latin1');
  // Of CONNECT Node tells who asked for it, and nobody did.
  return /^(?!CONNECT )[A-Z]+ \/[\x21-\x7e]* HTTP\/1\.[01]\r\nHost: x\r\n\r\n$/.test(text);
}

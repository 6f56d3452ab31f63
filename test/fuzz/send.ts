import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { status as Code } from '@grpc/grpc-js';
import { StatusSchema } from '#gen/google/rpc/status_pb.js';
import type { Doors } from '../platform.ts';
import type { FuzzCase, Http1Case, Http2Case, RawCase } from './fuzz-case.ts';
import { isWhole } from './may-be-closed.ts';

/** What came back. */
export type Answer = {
  /**
   * `closed`: the server ended the connection or stream without an answer; `left`: the client went away, as it was to;
   * `unanswered`: the server waits for more, where nobody waits for it.
   */
  outcome: 'answered' | 'closed' | 'left' | 'unanswered' | 'not sendable' | 'late';
  /** How it was closed. */
  ended?: string;
  /** Of HTTP. */
  status?: number;
  /** Canonical name, where there is one. */
  code?: string;
  /** All that was said, headers and trailers included. */
  said: string;
  ms: number;
};

/** Whoever waits for longer is not answered. */
const LATE_MS = 10_000;
/** A stream that is open is read for so long. */
const STREAM_MS = 150;
/** What is written to a bare connection may be half of something: nobody waits for the other half. */
const RAW_MS = 250;
const WHOLE_MS = 50;
/** A server ends a connection on which too many streams are ended by their client. */
const CASES_PER_SESSION = 300;

/** Of a stream of HTTP/2, by number. */
const endings = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
];

type Session = { connection: ClientHttp2Session; cases: number };

/** Sends cases to a platform's doors. To be closed. */
export class Sender {
  readonly #doors: Doors;
  readonly #tokens: Record<string, string>;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64, timeout: LATE_MS * 2 });
  readonly #idle: Session[] = [];

  /** @param words what stands for what in headers, such as a token. */
  constructor(doors: Doors, words: Record<string, string>) {
    this.#doors = doors;
    this.#tokens = words;
  }

  async send(fuzzCase: FuzzCase): Promise<Answer> {
    const began = performance.now();
    const late = delay(LATE_MS, undefined, { ref: false }).then(() => ({ outcome: 'late' as const, said: '' }));
    const answer = await Promise.race([this.#sent(fuzzCase), late]);
    return { ...answer, ms: performance.now() - began };
  }

  close(): void {
    for (const { connection } of this.#idle) connection.destroy();
    this.#agent.destroy();
  }

  #sent(fuzzCase: FuzzCase): Promise<Omit<Answer, 'ms'>> {
    if (fuzzCase.by === 'http2') return this.#overHttp2(fuzzCase);
    return fuzzCase.by === 'http1' ? this.#overHttp1(fuzzCase) : this.#raw(fuzzCase);
  }

  #headersOf(headers: Record<string, string>): Record<string, string> {
    const entries = Object.entries(headers).map(([name, value]) => [
      name,
      value.replace(/\{(?:customer|operator)\}/g, (token) => this.#tokens[token] ?? token),
    ]);
    return Object.fromEntries(entries);
  }

  #kept(session: Session, answer: Omit<Answer, 'ms'>): Omit<Answer, 'ms'> {
    session.cases++;
    this.#idle.push(session);
    return answer;
  }

  /** One that nobody else uses now: a case may end its whole connection. */
  #idleSession(): Session {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.connection.closed && !idle.connection.destroyed && idle.cases < CASES_PER_SESSION) return idle;
      idle.connection.close();
    }
    return this.#newSession();
  }

  #newSession(): Session {
    const connection = connectHttp2(`http://${this.#doors.grpc}`);
    connection.on('error', () => {});
    return { connection, cases: 0 };
  }

  async #overHttp2(fuzzCase: Http2Case): Promise<Omit<Answer, 'ms'>> {
    const session = this.#idleSession();
    const answer = await this.#onSession(session, fuzzCase);
    // The server may have ended it over an earlier case, at this moment.
    if (answer.outcome !== 'closed' || session.cases === 0) return this.#kept(session, answer);
    session.connection.destroy();
    const another = this.#newSession();
    return this.#kept(another, await this.#onSession(another, fuzzCase));
  }

  async #onSession(
    { connection }: Session,
    { path, headers, body, cancelAfterMs }: Http2Case,
  ): Promise<Omit<Answer, 'ms'>> {
    let stream: ClientHttp2Stream;
    try {
      stream = connection.request({ ':method': 'POST', ':path': path, ...this.#headersOf(headers) });
    } catch {
      return { outcome: 'not sendable', said: '' };
    }
    const heard: Record<string, unknown> = {};
    stream.on('response', (head) => Object.assign(heard, head));
    stream.on('trailers', (trailers) => Object.assign(heard, trailers));
    stream.on('error', () => {});
    const chunks: Buffer[] = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.end(body);
    const leave = () => stream.close(constants.NGHTTP2_CANCEL);
    if (cancelAfterMs !== undefined) setTimeout(leave, cancelAfterMs).unref();
    if (isWatching(path)) setTimeout(leave, STREAM_MS * 2).unref();
    // Answered: what is left of the request need not be taken.
    stream.once('end', () => setTimeout(leave, STREAM_MS).unref());
    await once(stream, 'close').catch(() => {});
    const said = `${JSON.stringify(heard)} ${detailsIn(heard['grpc-status-details-bin'])}`;
    const number = heard['grpc-status'];
    const status = heard[':status'];
    if (number === undefined && status === undefined) {
      if (cancelAfterMs !== undefined || isWatching(path)) return { outcome: 'left', said };
      return { outcome: 'closed', ended: endings[stream.rstCode ?? 0] ?? `${stream.rstCode}`, said };
    }
    return {
      outcome: 'answered',
      said,
      ...(typeof status === 'number' ? { status } : {}),
      ...(number === undefined ? {} : { code: Code[Number(number)] ?? String(number) }),
    };
  }

  async #overHttp1(fuzzCase: Http1Case, agent: Agent | false = this.#agent): Promise<Omit<Answer, 'ms'>> {
    const { method, path, headers, body, cancelAfterMs } = fuzzCase;
    const { promise, resolve } = Promise.withResolvers<Omit<Answer, 'ms'>>();
    try {
      const own = { 'content-length': String(body.length), ...this.#headersOf(headers) };
      // On a connection that is kept what follows would be taken for the rest of this one.
      const isExact = Number(own['content-length']) === body.length;
      const sent = httpRequest(
        `${this.#doors.http}${path}`,
        { method, agent: isExact ? agent : false, headers: own },
        (response) => {
          const chunks: Buffer[] = [];
          const done = () => {
            const bytes = Buffer.concat(chunks);
            const end = isStream(response.headers['content-type'] ?? '') ? lastFrame(bytes) : bytes;
            const said = `${JSON.stringify(response.headers)} ${end.toString()}`;
            const code = codeIn(bytes, response.headers);
            const status = response.statusCode ?? 0;
            resolve({ outcome: 'answered', status, said, ...(code === undefined ? {} : { code }) });
          };
          response.on('data', (chunk) => chunks.push(chunk));
          response.once('end', done);
          response.once('error', done);
          if (isStream(headers['content-type'] ?? '')) setTimeout(() => sent.destroy(), STREAM_MS * 2).unref();
        },
      );
      // Nothing may happen that is watched, and who says that there is more than comes is waited for.
      const isQuiet = isWatching(path) || Number(own['content-length']) > body.length;
      const leaves = cancelAfterMs ?? (isQuiet ? STREAM_MS * 2 : undefined);
      sent.once('error', (error: NodeJS.ErrnoException) => {
        if (leaves !== undefined) return resolve({ outcome: 'left', said: '' });
        // The server may have ended it over an earlier case, at this moment.
        if (sent.reusedSocket) return resolve(this.#overHttp1(fuzzCase, false));
        resolve({ outcome: 'closed', ended: error.code ?? error.message, said: '' });
      });
      if (leaves !== undefined) setTimeout(() => sent.destroy(), leaves).unref();
      sent.end(body);
    } catch {
      resolve({ outcome: 'not sendable', said: '' });
    }
    return promise;
  }

  async #raw(fuzzCase: RawCase): Promise<Omit<Answer, 'ms'>> {
    const { door, bytes } = fuzzCase;
    const { host, port } = door === 'http' ? hostOf(new URL(this.#doors.http).host) : hostOf(this.#doors.grpc);
    const socket = connectTcp({ host, port });
    socket.on('error', () => {});
    socket.write(bytes);
    let outcome: Answer['outcome'] = 'closed';
    const leave = () => {
      outcome = 'unanswered';
      socket.destroy();
    };
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    // An answer to the end comes with its beginning, and the server may keep the connection open after it.
    if (isWhole(fuzzCase)) socket.once('data', () => setTimeout(leave, WHOLE_MS));
    else setTimeout(leave, RAW_MS);
    await once(socket, 'close').catch(() => {});
    const said = Buffer.concat(chunks).toString();
    const status = /^HTTP\/1\.\d (\d+)/.exec(said)?.[1];
    return {
      outcome: said === '' ? outcome : 'answered',
      said,
      ...(status === undefined ? {} : { status: Number(status) }),
    };
  }
}

function hostOf(address: string): { host: string; port: number } {
  const [host = '', port] = address.split(':');
  return { host, port: Number(port) };
}

function isWatching(path: string): boolean {
  return /\/(Watch\w*|ServerReflectionInfo)$/.test(path);
}

function isStream(contentType: string): boolean {
  return contentType.startsWith('application/connect+') || contentType.startsWith('application/grpc-web');
}

/** How a stream ends: what came before is an answer, and may say what it likes. */
function lastFrame(bytes: Buffer): Buffer {
  let start = 0;
  for (let next = 0; next + 5 <= bytes.length; next += 5 + bytes.readUInt32BE(next + 1)) start = next;
  return bytes.subarray(start);
}

/** google.rpc.Status of a trailer, in the clear. */
function detailsIn(header: unknown): string {
  if (typeof header !== 'string') return '';
  const encoded = Buffer.from(header, 'base64');
  try {
    const { message, details } = fromBinary(StatusSchema, encoded);
    return `${message} ${details.map(({ value }) => Buffer.from(value).toString()).join(' ')}`;
  } catch {
    return encoded.toString();
  }
}

/** The code of a gRPC-Web answer, of a Connect one, or of the end of a Connect stream. */
function codeIn(bytes: Buffer, headers: Record<string, unknown>): string | undefined {
  const said = bytes.toString('latin1');
  const number = headers['grpc-status'] ?? /grpc-status: ?(\d+)/.exec(said)?.[1];
  if (number !== undefined) return Code[Number(number)] ?? String(number);
  const name = /"code":"([a-z_]+)"/.exec(said)?.[1];
  return name === 'canceled' ? 'CANCELLED' : name?.toUpperCase();
}

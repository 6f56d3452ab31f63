import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { type Answer, NoAnswerError, type Post } from '../reactions/deliver.ts';
import { ForbiddenAddressError, type ReceiverAddresses } from './receiver-address.ts';

export type HttpPostOptions = {
  /** How long a receiver may take, from the look-up of its host to the end of its answer. */
  timeoutMs: number;
};

/** What is read of an answer's body, so that a connection is ended in peace. It is not looked at, and not kept. */
const MAX_BODY_BYTES = 64 * 1024;

/** Posts over HTTP, each time on a connection of its own. Redirects are answers like any other: nothing follows them. */
export function httpPost(addresses: ReceiverAddresses, { timeoutMs }: HttpPostOptions): Post {
  return async (address, headers, body, signal) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const url = new URL(address);
      addresses.requireAllowed(url);
      const options = { method: 'POST', headers, lookup: addresses.lookup, agent: false as const };
      const request = (url.protocol === 'https:' ? https : http).request(url, {
        ...options,
        signal: AbortSignal.any([signal, timeout]),
      });
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        // Stays: an error after the answer has come is no error.
        request.on('error', reject).on('response', resolve).end(body);
      });
      await discard(response);
      return answerOf(response);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw new NoAnswerError(timeout.aborted ? `no answer after ${timeoutMs} ms` : wordsOf(error), { cause: error });
    }
  };
}

async function discard(response: IncomingMessage): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) break;
    }
  } catch {
    // The answer is its status, whatever becomes of the rest.
  } finally {
    response.destroy();
  }
}

function answerOf({ statusCode = 0, headers }: IncomingMessage): Answer {
  return { httpStatus: statusCode, retryAfterMs: delayOf(headers['retry-after']) };
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function delayOf(retryAfter: string | undefined): number {
  if (retryAfter === undefined) return 0;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1_000 : new Date(retryAfter).getTime() - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** Without the address that was connected to: what we can reach is nobody else's business. */
function wordsOf(error: unknown): string {
  if (error instanceof ForbiddenAddressError) return `not called: its URL ${error.message}`;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'the connection failed';
}

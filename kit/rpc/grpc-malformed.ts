import { logVerbosity, setLogVerbosity, status } from '@grpc/grpc-js';
import { BaseServerInterceptingCall } from '@grpc/grpc-js/build/src/server-interceptors.js';
import { CORRELATION_HEADER } from './pipeline.ts';
import { boundedGrpcTimeout } from './timeouts.ts';

type Sending = BaseServerInterceptingCall['sendStatus'];

/** Characters of what is said of an error: more than a header holds would end the stream without an answer. */
const MAX_DETAILS = 1_000;

let isExplained = false;

/**
 * The library answers INTERNAL to what is the caller's fault: a timeout, frame, compression or message that can't be read.
 * It has no place for a word of ours there, so what it sends is looked at; answers of a door carry a correlation id.
 */
export function explainMalformedGrpc(): void {
  if (isExplained) return;
  isExplained = true;
  const send: Sending = BaseServerInterceptingCall.prototype.sendStatus;
  const explained: Sending = function (this: BaseServerInterceptingCall, said) {
    const isOfLibrary = (said.metadata?.get(CORRELATION_HEADER) ?? []).length === 0;
    const code = isOfLibrary && said.code === status.INTERNAL ? status.INVALID_ARGUMENT : said.code;
    // The health service says again what it was asked for, which may be long.
    const details = said.details?.slice(0, MAX_DETAILS).toWellFormed() ?? '';
    // Rejections of the library's own have no metadata at all.
    send.call(this, { ...said, code, details, metadata: said.metadata ?? null });
  };
  BaseServerInterceptingCall.prototype.sendStatus = explained;
  // Private, and the only place where it can be done: a timeout of more than 24 days would be over at once.
  const calls = BaseServerInterceptingCall.prototype as unknown as { handleTimeoutHeader(header: string): void };
  const take = calls.handleTimeoutHeader;
  calls.handleTimeoutHeader = function (header) {
    take.call(this, boundedGrpcTimeout(String(header)));
  };
  // It writes headers that it can't read to stderr, tokens too, and whoever likes can make it.
  setLogVerbosity(logVerbosity.NONE);
}

import { Metadata } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { CallError, invalid } from '#kit/errors.ts';
import { callErrorOf, grpcStatus } from './errors.ts';

/** Bytes of an error's trailers, as they are sent. */
function trailerBytes(error: CallError): number {
  const metadata = new Metadata();
  const { details = '' } = grpcStatus(callErrorOf(error), metadata);
  const headers = { ...metadata.toHttp2Headers(), 'grpc-message': encodeURI(details) };
  return Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + String(value).length, 0);
}

test.each(['x', '%', '\u{1F600}', '\ud800'])('an error with more to say than fits is cut: %j', (character) => {
  const endless = character.repeat(100_000);
  const violations = Array.from({ length: 1_000 }, () => ({ field: endless, description: endless }));

  expect(trailerBytes(new CallError('INVALID_ARGUMENT', endless, { violations }))).toBeLessThan(7_000);
  expect(trailerBytes(new CallError('NOT_FOUND', endless, { reason: 'UNKNOWN', metadata: { endless } }))).toBeLessThan(
    3_000,
  );
});

test('what is short stays as it is, and a character is not cut in half', () => {
  const error = invalid('name', `may not be ${'\u{1F600}'.repeat(20)}`);
  expect(callErrorOf(error)).toMatchObject({ message: error.message, details: error.details });

  const { message } = callErrorOf(new CallError('ABORTED', '\u{1F600}'.repeat(1_000)));
  expect(message).toMatch(/^\u{1F600}+\.\.\.$/u);
});

import { MongoNetworkError, MongoServerError } from 'mongodb';
import { expect, test } from 'vitest';
import { BusyError, CallError, PermanentError, TransientError, UnavailableError } from './errors.ts';
import { ConflictError } from './journal.ts';
import { isOutage } from './outages.ts';
import { backoffMs, verdictOn } from './retry.ts';

const permanent = (reason: string) => ({ kind: 'permanent', reason });
const transient = { kind: 'transient' };
const unavailable = { kind: 'unavailable' };

test.each([
  ['what the handler refuses', new PermanentError('no'), permanent('REFUSED')],
  ['what nobody foresaw', new TypeError('undefined is not a function'), permanent('FAILED')],
  ['what is no error at all', 'thrown', permanent('FAILED')],
  ['what says so itself', new TransientError('busy'), transient],
  ['a lost race', new ConflictError('moved on'), transient],
  ['a request that was not answered in time', new DOMException('timed out', 'TimeoutError'), transient],
  ['a provider that is away', new UnavailableError('away'), unavailable],
  ['a database that is away', new MongoNetworkError('refused'), unavailable],
  ['what found others of its kind at work', new BusyError('busy', 1), unavailable],
  ['a command that lost too many races', new CallError('ABORTED', 'contention'), transient],
  ['a command that needs what is away', new CallError('UNAVAILABLE', 'away'), unavailable],
  ['a command that is refused', new CallError('FAILED_PRECONDITION', 'closed'), permanent('REFUSED')],
  ['a command that met a bug', new CallError('INTERNAL', 'internal'), permanent('FAILED')],
])('%s is judged by its type', (_, error, verdict) => {
  expect(verdictOn(error)).toEqual(verdict);
});

test('a database that changes its primary is an outage, one that refuses a write is not', () => {
  const steppingDown = new MongoServerError({ message: 'not primary', code: 10_107 });
  steppingDown.addErrorLabel('RetryableWriteError');
  expect(isOutage(steppingDown)).toBe(true);
  expect(isOutage(new MongoServerError({ message: 'E11000 duplicate key', code: 11_000 }))).toBe(false);
});

test('waits grow exponentially up to their limit, with full jitter', () => {
  const waits = (random: number) =>
    [1, 2, 3, 4, 5].map((attempt) => backoffMs(attempt, { minMs: 100, maxMs: 1_000 }, () => random));
  expect(waits(1)).toEqual([100, 200, 400, 800, 1_000]);
  expect(waits(0.5)).toEqual([50, 100, 200, 400, 500]);
  expect(waits(0)).toEqual([0, 0, 0, 0, 0]);
});

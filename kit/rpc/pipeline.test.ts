import { expect, test } from 'vitest';
import { AccountService } from '#gen/causeway/testing/v1/account_pb.js';
import { CallError, UnavailableError } from '#kit/errors.ts';
import type { Logger } from '#kit/telemetry/logging.ts';
import { DEVELOPMENT_KEY, Identity, signToken } from './identity.ts';
import { unlimited } from './limit.ts';
import { Pipeline } from './pipeline.ts';

const [method] = AccountService.methods;

/** Makes a call that ends like this, and gives what its caller was told and what stands in the log. */
async function called(carryOut: () => Promise<unknown>) {
  const lines: { level: string; code?: string; err?: unknown }[] = [];
  const log = (level: string) => (fields: object) => lines.push({ level, ...fields });
  const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') } satisfies Logger;
  const pipeline = new Pipeline({ identity: new Identity({}), limit: unlimited, logger });
  const token = await signToken({ subject: 'ada', role: 'customer' }, DEVELOPMENT_KEY, '1h');
  const incoming = {
    header: (name: string) => (name === 'authorization' ? `Bearer ${token}` : undefined),
    correlationId: 'checkout-1',
    signal: new AbortController().signal,
    deadline: undefined,
  };
  if (method === undefined) throw new Error('the contract has a method');
  const told = await pipeline.unary(method, incoming, carryOut).catch((error: unknown) => error);
  return { told, lines };
}

test('what nobody foresaw is INTERNAL to the caller, without a word of it, and an error with its stack in the log', async () => {
  const bug = new TypeError("can't read the secret of undefined");

  const { told, lines } = await called(() => Promise.reject(bug));

  expect(told).toMatchObject({ code: 'INTERNAL', message: 'internal error' });
  expect(lines).toMatchObject([{ level: 'error', code: 'INTERNAL', err: bug }]);
});

test('what is away is a warning with its cause in the log', async () => {
  const away = new UnavailableError('the broker is away');

  const { told, lines } = await called(() => Promise.reject(away));

  expect(told).toMatchObject({ code: 'UNAVAILABLE', details: { retryAfterMs: 1_000 } });
  expect(lines).toMatchObject([{ level: 'warn', code: 'UNAVAILABLE', err: away }]);
});

test.each([
  ['INVALID_ARGUMENT', 'info'],
  ['FAILED_PRECONDITION', 'info'],
  ['NOT_FOUND', 'debug'],
  ['UNAUTHENTICATED', 'debug'],
  ['RESOURCE_EXHAUSTED', 'debug'],
] as const)('%s is told in one line of level %s', async (code, level) => {
  const { lines } = await called(() => Promise.reject(new CallError(code, 'no')));

  expect(lines).toMatchObject([{ level, code, message: 'no' }]);
});

test('what went well is told to who asks for every detail only', async () => {
  const { told, lines } = await called(async () => 'done');

  expect(told).toBe('done');
  expect(lines).toMatchObject([{ level: 'debug', code: 'OK' }]);
});

import { clone, create, type DescMethod, setExtension } from '@bufbuild/protobuf';
import { MethodDescriptorProtoSchema, MethodOptionsSchema } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { open } from '#gen/causeway/rpc/v1/options_pb.js';
import { AccountService } from '#gen/causeway/testing/v1/account_pb.js';
import { CallError, UnavailableError } from '#kit/errors.ts';
import { type Logger, silent } from '#kit/telemetry/logging.ts';
import { DEVELOPMENT_KEY, Identity, signToken } from './identity.ts';
import { callLimit, unlimited } from './limit.ts';
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

/** Calls this method with this token, or with none, and says who it was carried out for. */
async function callerOf(called: DescMethod, token: string | undefined, limit = unlimited) {
  const pipeline = new Pipeline({ identity: new Identity({}), limit, logger: silent });
  const incoming = {
    header: (name: string) => (name === 'authorization' ? token : undefined),
    correlationId: 'checkout-1',
    signal: new AbortController().signal,
    deadline: undefined,
  };
  return pipeline.unary(called, incoming, async ({ caller }) => caller).catch((error: unknown) => error);
}

function opened(closed: DescMethod): DescMethod {
  const proto = clone(MethodDescriptorProtoSchema, closed.proto);
  proto.options = create(MethodOptionsSchema);
  setExtension(proto.options, open, true);
  return { ...closed, proto } as DescMethod;
}

test('what is open in its contract is answered without a token, for nobody; what is not is refused', async () => {
  const [closed] = AccountService.methods;

  expect(await callerOf(opened(closed as DescMethod), undefined)).toEqual({ subject: '', role: 'nobody' });
  expect(await callerOf(closed as DescMethod, undefined)).toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('who has a token is who it says where it is not needed too, and a bad one is refused there', async () => {
  const isOpen = opened(AccountService.methods[0] as DescMethod);
  const token = await signToken({ subject: 'ada', role: 'customer' }, DEVELOPMENT_KEY, '1h');

  expect(await callerOf(isOpen, `Bearer ${token}`)).toMatchObject({ subject: 'ada' });
  expect(await callerOf(isOpen, 'Bearer none')).toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('those without a token have one share of the calls together', async () => {
  const limit = callLimit({ perSecond: 1, streamsPerCaller: 1, now: () => 0 });
  const isOpen = opened(AccountService.methods[0] as DescMethod);
  const call = () => callerOf(isOpen, undefined, limit);

  expect([await call(), await call(), await call()]).toMatchObject([{}, {}, { code: 'RESOURCE_EXHAUSTED' }]);
});

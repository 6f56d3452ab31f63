import { once } from 'node:events';
import { promisify } from 'node:util';
import { create } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type sendUnaryData, type UntypedHandleCall } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  AccountService,
  DepositRequestSchema,
  DepositResponseSchema,
  FollowRequestSchema,
} from '#gen/causeway/testing/v1/account_pb.js';
import { CallError } from '#kit/errors.ts';
import { silent } from '#kit/telemetry/logging.ts';
import type { Call } from './call.ts';
import { door, type Implementation } from './door.ts';
import { startGrpcServer } from './grpc-server.ts';
import { DEVELOPMENT_KEY, Identity, signToken } from './identity.ts';
import { unlimited } from './limit.ts';
import { Pipeline } from './pipeline.ts';
import { RemoteService } from './remote.ts';

const { deposit, follow } = AccountService.method;

/** A service on a server of its own, and the door to it as another process has it. */
async function remote(
  implementation: Partial<Implementation<typeof AccountService>>,
  options?: ConstructorParameters<typeof RemoteService>[1],
) {
  const pipeline = new Pipeline({ identity: new Identity({}), limit: unlimited, logger: silent });
  const served = door(AccountService, implementation as Implementation<typeof AccountService>);
  const health = async () => ({ ready: true, reasons: [] });
  const server = await startGrpcServer([served], pipeline, {
    host: '127.0.0.1',
    port: 0,
    maxRequestBytes: 1_000_000,
    health,
  });
  const service = new RemoteService(`http://127.0.0.1:${server.port}`, options);
  onTestFinished(async () => {
    service.close();
    await server.stop();
  });
  return service.door(AccountService);
}

/** A call as a gateway has taken it. */
async function call(changes: Partial<Call> = {}): Promise<Call> {
  const caller = { subject: 'ada', role: 'customer' } as const;
  const token = await signToken(caller, DEVELOPMENT_KEY, '1h');
  return {
    caller,
    authorization: `Bearer ${token}`,
    correlationId: 'checkout-1',
    signal: new AbortController().signal,
    deadline: undefined,
    ...changes,
  };
}

const request = create(DepositRequestSchema, { accountId: 'a', amount: 5n });

test("the caller's token, correlation id and deadline are passed on", async () => {
  let seen: Call | undefined;
  const { messages } = await remote({
    deposit: async (_, asked) => {
      seen = asked;
      return create(DepositResponseSchema, { balance: 5n });
    },
  });
  const deadline = Date.now() + 5_000;
  const sent = await call({ deadline });

  expect(await messages.unary(deposit, request, sent)).toMatchObject({ balance: 5n });

  expect(seen).toMatchObject({ caller: sent.caller, authorization: sent.authorization, correlationId: 'checkout-1' });
  expect(Math.abs((seen?.deadline ?? 0) - deadline)).toBeLessThan(1_000);
});

test.each(['unary', 'stream'] as const)(
  'a %s call that its caller gives up is given up by the service',
  async (kind) => {
    const reached = Promise.withResolvers<AbortSignal>();
    const forever = () => new Promise<never>(() => {});
    const { messages } = await remote({
      deposit: (_, { signal }) => {
        reached.resolve(signal);
        return forever();
      },
      async *follow(_, { signal }) {
        reached.resolve(signal);
        yield await forever();
      },
    });
    const caller = new AbortController();
    const sent = await call({ signal: caller.signal });
    const answer =
      kind === 'unary'
        ? messages.unary(deposit, request, sent)
        : messages
            .stream(follow, create(FollowRequestSchema, { accountId: 'a' }), sent)
            [Symbol.asyncIterator]()
            .next();
    answer.catch(() => {});
    const signal = await reached.promise;

    const aborted = once(signal, 'abort');
    caller.abort();

    await aborted;
    await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
  },
);

test('what the service answers with is passed on as it is: code, message and encoded details', async () => {
  const refuse = () => {
    throw new CallError('FAILED_PRECONDITION', 'the account is closed', { reason: 'CLOSED' });
  };
  const { bytes, messages } = await remote({ deposit: async () => refuse() });

  const passedOn = { name: 'PassedOnError', code: 'FAILED_PRECONDITION', message: 'the account is closed' };
  await expect(messages.unary(deposit, request, await call())).rejects.toMatchObject(passedOn);
  const error = await bytes.unary(deposit, new Uint8Array(), await call()).catch((reason) => reason);
  expect(error.encodedDetails.toString('latin1')).toContain('CLOSED');
});

describe('a service that hangs', () => {
  const hung = { deposit: () => new Promise<never>(() => {}) };

  test('is UNAVAILABLE with a time to try again, for a caller without a deadline', async () => {
    const { messages } = await remote(hung, { unansweredMs: 50 });

    const told = await messages.unary(deposit, request, await call()).catch((error) => error);

    expect(told).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'SERVICE_AWAY', retryAfterMs: 1_000 } });
    expect(told.message).toBe('causeway.testing.v1.AccountService is away, try again');
  });

  test("is waited for until a caller's deadline, which is told in words of ours", async () => {
    const { messages } = await remote(hung, { unansweredMs: 50 });
    const deadline = Date.now() + 300;

    const told = await messages.unary(deposit, request, await call({ deadline })).catch((error) => error);

    expect(told).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(told.message).toMatch(/^the deadline of the call has passed/);
    expect(Date.now()).toBeGreaterThanOrEqual(deadline - 10);
  });
});

describe('words of the library are not passed on', () => {
  /** What a caller is told where this is what answers. */
  async function told(server: Server): Promise<{ code: string; message: string }> {
    const bind = promisify<string, ServerCredentials, number>(server.bindAsync.bind(server));
    const port = await bind('127.0.0.1:0', ServerCredentials.createInsecure());
    const service = new RemoteService(`http://127.0.0.1:${port}`);
    onTestFinished(() => {
      service.close();
      server.forceShutdown();
    });
    return service
      .door(AccountService)
      .bytes.unary(deposit, new Uint8Array(), await call())
      .catch((error) => error);
  }

  test('of a service that does not have the method yet', async () => {
    const path = '/causeway.testing.v1.AccountService/Deposit';

    expect(await told(new Server())).toMatchObject({ code: 'UNIMPLEMENTED', message: `${path} is not there yet` });
  });

  test('of an answer that is larger than it may be', async () => {
    const [asBytes, requestStream, responseStream] = [(bytes: Buffer) => bytes, false, false];
    const path = '/causeway.testing.v1.AccountService/Deposit';
    const forms = { requestSerialize: asBytes, requestDeserialize: asBytes, responseSerialize: asBytes };
    const server = new Server();
    const answer: UntypedHandleCall = (_: unknown, answered: sendUnaryData<Buffer>) =>
      answered(null, Buffer.alloc(5 * 1024 ** 2));
    server.addService(
      { Deposit: { path, requestStream, responseStream, ...forms, responseDeserialize: asBytes } },
      { Deposit: answer },
    );

    expect(await told(server)).toMatchObject({ code: 'INTERNAL', message: 'internal error' });
  });
});

test('a service that nobody runs is UNAVAILABLE with a time to try again', async () => {
  const service = new RemoteService('http://127.0.0.1:1');
  onTestFinished(() => service.close());

  await expect(service.door(AccountService).messages.unary(deposit, request, await call())).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    details: { reason: 'SERVICE_AWAY', retryAfterMs: 1_000 },
  });
  expect(await service.health('bank')).toMatchObject({ ready: false });
});

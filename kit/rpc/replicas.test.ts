import dns from 'node:dns';
import { create } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { expect, onTestFinished, test, vi } from 'vitest';
import {
  AccountService,
  DepositRequestSchema,
  DepositResponseSchema,
  FollowRequestSchema,
  FollowResponseSchema,
} from '#gen/causeway/testing/v1/account_pb.js';
import { freePort } from '#kit/local/free-port.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { startProxy } from '#kit/testing/proxy.ts';
import type { Call } from './call.ts';
import { door, type Implementation } from './door.ts';
import { type RunningServer, startGrpcServer } from './grpc-server.ts';
import { DEVELOPMENT_KEY, Identity, signToken } from './identity.ts';
import { unlimited } from './limit.ts';
import { Pipeline } from './pipeline.ts';
import { RemoteService } from './remote.ts';

const { deposit, follow } = AccountService.method;
/** The same method, as one that only reads. */
const read = { ...deposit, idempotency: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS };

const deposited = create(DepositRequestSchema, { accountId: 'a', amount: 5n });
const followed = create(FollowRequestSchema, { accountId: 'a' });

/** A name that stands for the replicas that run now, each on an address of its own. */
async function service(...hosts: string[]) {
  const port = await freePort();
  const running = new Map<string, RunningServer>();
  const calls = new Map<string, number>();
  const begun = { count: 0 };
  const addresses = () => [...running.keys()].map((address) => ({ address, family: 4 }));
  const lookup = vi.spyOn(dns.promises, 'lookup').mockImplementation((async () => addresses()) as never);
  const start = async (host: string, implementation: Partial<Implementation<typeof AccountService>> = {}) => {
    const answers: Partial<Implementation<typeof AccountService>> = {
      deposit: async () => create(DepositResponseSchema, { balance: 5n }),
      async *follow() {
        yield create(FollowResponseSchema, { balance: 1n });
        await new Promise(() => {});
      },
      ...implementation,
    };
    const counted = {
      ...answers,
      deposit: (...asked: Parameters<Implementation<typeof AccountService>['deposit']>) => {
        begun.count++;
        calls.set(host, (calls.get(host) ?? 0) + 1);
        return answers.deposit?.(...asked);
      },
    };
    const server = await startGrpcServer(
      [door(AccountService, counted as Implementation<typeof AccountService>)],
      new Pipeline({ identity: new Identity({}), limit: unlimited, logger: silent }),
      {
        host,
        port,
        maxRequestBytes: 1_000_000,
        health: async () => ({ ready: true, reasons: [] }),
      },
    );
    running.set(host, server);
  };
  const stop = async (host: string) => {
    const server = running.get(host);
    running.delete(host);
    await server?.stop();
  };
  for (const host of hosts) await start(host);
  const remote = new RemoteService(`http://accounts:${port}`);
  onTestFinished(async () => {
    remote.close();
    await Promise.all([...running.keys()].map(stop));
    lookup.mockRestore();
  });
  return {
    ...remote.door(AccountService),
    remote,
    port,
    calls,
    begun,
    start,
    stop,
    leave: (host: string) => running.get(host)?.drain(),
  };
}

async function call(): Promise<Call> {
  const caller = { subject: 'ada', role: 'customer' } as const;
  return {
    caller,
    authorization: `Bearer ${await signToken(caller, DEVELOPMENT_KEY, '1h')}`,
    correlationId: 'checkout-1',
    signal: new AbortController().signal,
    deadline: undefined,
  };
}

test('replicas come and go under load: none of the calls fails or is made twice, and each replica has its share', async () => {
  const { messages, calls, begun, start, stop } = await service('127.0.0.1', '127.0.0.2');
  const sent = await call();
  let isOver = false;
  let answered = 0;
  const load = Array.from({ length: 16 }, async () => {
    while (!isOver) {
      await messages.unary(deposit, deposited, sent);
      answered++;
    }
  });
  const share = (host: string) => (calls.get(host) ?? 0) / [...calls.values()].reduce((sum, count) => sum + count, 0);

  await expect.poll(() => Math.min(share('127.0.0.1'), share('127.0.0.2'))).toBeGreaterThan(0.25);
  await start('127.0.0.3');
  await expect.poll(() => share('127.0.0.3')).toBeGreaterThan(0);
  await stop('127.0.0.1');
  calls.clear();
  await expect.poll(() => Math.min(share('127.0.0.2'), share('127.0.0.3'))).toBeGreaterThan(0.25);
  isOver = true;
  await Promise.all(load);

  expect(calls.get('127.0.0.1')).toBeUndefined();
  expect(begun.count).toBe(answered);
});

test('who follows one that stops is told UNAVAILABLE, and does not wait for ever', async () => {
  const { messages, stop } = await service('127.0.0.1');
  const sent = await call();
  const answers = messages.stream(follow, followed, sent)[Symbol.asyncIterator]();
  expect(await answers.next()).toMatchObject({ value: { balance: 1n } });
  const end = answers.next().then(
    () => 'an answer',
    (error) => error,
  );

  await stop('127.0.0.1');

  expect(await end).toMatchObject({ code: 'UNAVAILABLE', message: 'the server stops, try again' });
});

test('a read whose replica dies is asked again; what may have changed something is left to its caller', async () => {
  let asked = 0;
  const diesAtFirst = {
    deposit: async () => {
      asked++;
      return asked === 1 ? new Promise<never>(() => {}) : create(DepositResponseSchema, { balance: 5n });
    },
  };
  const { calls, start, port } = await service();
  await start('127.0.0.1', diesAtFirst);
  const network = await startProxy(`http://127.0.0.1:${port}`);
  vi.mocked(dns.promises.lookup).mockRestore();
  const remote = new RemoteService(network.url);
  onTestFinished(() => {
    remote.close();
    return network.close();
  });
  const { messages } = remote.door(AccountService);
  const dies = async (answer: Promise<unknown>) => {
    answer.catch(() => {});
    await expect.poll(() => asked).toBe(1);
    network.cut();
    return answer;
  };

  expect(await dies(messages.unary(read, deposited, await call()))).toMatchObject({ balance: 5n });
  asked = 0;
  await expect(dies(messages.unary(deposit, deposited, await call()))).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    details: { reason: 'SERVICE_AWAY' },
  });
  expect(calls.get('127.0.0.1')).toBe(3);
});

test('a service is ready where one of its replicas is, also while another leaves', async () => {
  const { remote, leave } = await service('127.0.0.1', '127.0.0.2');
  await expect.poll(() => remote.health('accounts')).toEqual({ ready: true, reasons: [] });

  leave('127.0.0.1');

  for (let times = 0; times < 6; times++) expect(await remote.health('accounts')).toMatchObject({ ready: true });
  leave('127.0.0.2');
  await expect.poll(() => remote.health('accounts')).toMatchObject({ ready: false });
});

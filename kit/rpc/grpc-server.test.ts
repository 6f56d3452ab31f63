import { create } from '@bufbuild/protobuf';
import { expect, onTestFinished, test } from 'vitest';
import { AccountService, DepositRequestSchema, DepositResponseSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { silent } from '#kit/telemetry/logging.ts';
import type { Call } from './call.ts';
import { door, type Implementation } from './door.ts';
import { startGrpcServer } from './grpc-server.ts';
import { DEVELOPMENT_KEY, Identity, signToken } from './identity.ts';
import { unlimited } from './limit.ts';
import { Pipeline } from './pipeline.ts';
import { RemoteService } from './remote.ts';

test('a call that was answered is not given up when its stream ends', async () => {
  const signals: AbortSignal[] = [];
  const implementation: Partial<Implementation<typeof AccountService>> = {
    deposit: async (_, { signal }) => {
      signals.push(signal);
      return create(DepositResponseSchema, { balance: 5n });
    },
  };
  const server = await startGrpcServer(
    [door(AccountService, implementation as Implementation<typeof AccountService>)],
    new Pipeline({ identity: new Identity({}), limit: unlimited, logger: silent }),
    { host: '127.0.0.1', port: 0, maxRequestBytes: 1_000_000, health: async () => ({ ready: true, reasons: [] }) },
  );
  const service = new RemoteService(`http://127.0.0.1:${server.port}`);
  const caller = { subject: 'ada', role: 'customer' } as const;
  const call: Call = {
    caller,
    authorization: `Bearer ${await signToken(caller, DEVELOPMENT_KEY, '1h')}`,
    correlationId: 'checkout-1',
    signal: new AbortController().signal,
    deadline: undefined,
  };
  const request = create(DepositRequestSchema, { accountId: 'a', amount: 5n });
  onTestFinished(() => server.stop());

  for (let calls = 0; calls < 3; calls++) {
    await service.door(AccountService).messages.unary(AccountService.method.deposit, request, call);
  }
  // Every stream has ended once the connection has.
  service.close();
  await server.stop();

  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false]);
});

import { expect, test } from 'vitest';
import { connectDatabase } from '#kit/database.ts';
import { atTheEnd, sharedMongoUri } from '#kit/testing/servers.ts';
import { describeProvider } from '../testing/provider-suite.ts';
import { Sandbox, type SandboxPayment } from './sandbox.ts';

const { db, close } = connectDatabase(sharedMongoUri(), 'payments');
atTheEnd(close);

const sandbox = () => new Sandbox(db, { slowMs: 300 });

describeProvider('the sandbox', () => ({
  provider: sandbox(),
  restarted: sandbox,
  account: async (orderId) => {
    const found = await db.collection<SandboxPayment>('sandbox_payments').findOne({ _id: orderId });
    return {
      isHeld: found?.status === 'authorized',
      charges: found?.charges ?? 0,
      refunds: found?.refunds.length ?? 0,
    };
  },
}));

test('a slow answer comes so long after the first question, whoever asks again', async () => {
  const amount = { currencyCode: 'EUR', units: 1n, nanos: 0 };
  const request = { orderId: 'asked-long-ago', customerId: 'alice', amount, paymentMethod: 'pm_slow' };
  const slowMs = 3_600_000;
  const impatient = AbortSignal.timeout(50);
  await expect(new Sandbox(db, { slowMs }).authorize(request, impatient)).rejects.toMatchObject({
    name: 'TimeoutError',
  });
  const startedAt = new Date(Date.now() - slowMs);
  await db.collection<SandboxPayment>('sandbox_payments').updateOne({ _id: request.orderId }, { $set: { startedAt } });

  const answer = await new Sandbox(db, { slowMs }).authorize(request, AbortSignal.timeout(5_000));
  expect(answer).toMatchObject({ result: 'authorized' });
});

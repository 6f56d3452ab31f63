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

import { setTimeout as delay } from 'node:timers/promises';
import { v4 as uuid } from 'uuid';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { type Client, grpcAs, Refused } from '../clients.ts';
import type { Doors } from '../platform.ts';
import { oneOf, type Random } from './random.ts';

const SKUS = ['coffee-beans', 'espresso-cup', 'grinder', 'coffee-beans', 'last-one', 'sold-out'];
const METHODS = ['pm_ok', 'pm_ok', 'pm_ok', 'pm_ok', 'pm_flaky', 'pm_declined', 'pm_never'];
const RETRY_MS = 100;
/** Between two orders of one who shops until told to stop: enough for work to be in hand everywhere, all the time. */
const PAUSE_MS = 100;
/** Worth another try with the same request: it has not happened, or has happened and is told again. */
const TRY_AGAIN = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'ABORTED', 'RESOURCE_EXHAUSTED', 'CANCELLED']);

/**
 * Places orders of all kinds one after another, some of which are cancelled, until it is told to stop or there are
 * enough. Each is tried again with the same ids until it is acknowledged. Answers with the ids that were.
 */
export async function shop(doors: Doors, random: Random, count: number, stop?: AbortSignal): Promise<string[]> {
  const client = await grpcAs(doors, 'shopper', 'operator');
  const acknowledged: string[] = [];
  while (acknowledged.length < count && stop?.aborted !== true) {
    const orderId = uuid({ random: Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256)) });
    const sku = oneOf(random, SKUS);
    const paymentMethod = oneOf(random, METHODS);
    const cancels = random() < 0.15;
    const order = {
      orderId,
      requestId: orderId,
      customerId: `customer-${Math.floor(random() * 1e6)}`,
      lines: [{ sku, quantity: 1 }],
      email: 'someone@example.com',
      paymentMethod,
      shipTo: { name: 'Some One', line1: '1 Road', city: 'Delft', postalCode: '2611', countryCode: 'NL' },
    };
    await answered(() => client.call(OrderService.method.placeOrder, order, { timeoutMs: 5_000 }));
    acknowledged.push(orderId);
    if (cancels) await cancel(client, orderId);
    if (stop !== undefined) await delay(PAUSE_MS);
  }
  return acknowledged;
}

/** It may be too late for it, which is an answer too. */
async function cancel(client: Client, orderId: string): Promise<void> {
  await answered(() =>
    client
      .call(
        OrderService.method.cancelOrder,
        { orderId, reason: 'changed my mind', requestId: `cancel ${orderId}` },
        { timeoutMs: 5_000 },
      )
      .catch((error) => {
        if (!(error instanceof Refused) || error.code !== 'FAILED_PRECONDITION') throw error;
      }),
  );
}

async function answered(call: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await call();
      return;
    } catch (error) {
      if (!(error instanceof Refused) || !TRY_AGAIN.has(error.code)) throw error;
    }
    await delay(RETRY_MS);
  }
}

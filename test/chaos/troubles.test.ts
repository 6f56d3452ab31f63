import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { connectBroker } from '#kit/broker.ts';
import { TransientError } from '#kit/errors.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { Sandbox, type SandboxPayment } from '../../services/payments/adapters/sandbox.ts';
import type { PaymentProvider } from '../../services/payments/reactions/payment-provider.ts';
import { assemble } from './assembled.ts';
import { expectInvariants } from './invariants.ts';
import { oneOf, type Random, seededRandom } from './random.ts';
import { shop } from './shoppers.ts';

const quick = { DEADLINE_PAYMENT: '4s', DEADLINE_STOCK: '20s', CARRIER_DELIVERS_AFTER: '1s' };

/** So many orders, by several customers at once. */
async function ordersBy(doors: Parameters<typeof shop>[0], random: Random, count: number): Promise<string[]> {
  const shoppers = Array.from({ length: 8 }, () => shop(doors, random, Math.ceil(count / 8)));
  return (await Promise.all(shoppers)).flat();
}

/** A provider in front of the sandbox whose answers are late, get lost, or never come. */
function badProvider(sandbox: PaymentProvider, random: Random): PaymentProvider {
  const badly = async <Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> => {
    const mood = random();
    if (mood < 0.1) throw new TransientError('503 from the provider, before it did anything');
    if (mood < 0.12) await delay(3_600_000, undefined, { signal });
    if (mood < 0.5) await delay(random() * 400, undefined, { signal });
    const answer = await ask();
    if (random() < 0.2) throw new TransientError('the connection was lost with the answer on it');
    return answer;
  };
  return {
    name: sandbox.name,
    authorize: (request, signal) => badly(() => sandbox.authorize(request, signal), signal),
    capture: (authorization, attempt, signal) => badly(() => sandbox.capture(authorization, attempt, signal), signal),
    void: (what, attempt, signal) => badly(() => sandbox.void(what, attempt, signal), signal),
    refund: (authorization, refund, signal) => badly(() => sandbox.refund(authorization, refund, signal), signal),
  };
}

/** How often money was taken for each order, as the provider says. */
async function charges({ db }: ServiceParts): Promise<number[]> {
  const found = await db.collection<SandboxPayment>('sandbox_payments').find().toArray();
  return found.map((payment) => payment.charges);
}

describe('every order ends once, and nothing is lost or doubled', () => {
  test('where the payment provider is slow, flaky and silent', async () => {
    const random = seededRandom('provider');
    let parts: ServiceParts | undefined;
    const platform = await assemble({
      environment: quick,
      provider: (own) => {
        parts = own;
        return badProvider(new Sandbox(own.db), random);
      },
    });
    await expectInvariants(platform, await ordersBy(platform, random, 80));
    expect(parts && Math.max(...(await charges(parts)))).toBe(1);
  }, 180_000);

  test('where clocks differ by more than a deadline, and three relays empty the outbox', async () => {
    const random = seededRandom('clocks');
    const platform = await assemble({
      environment: quick,
      clocksAheadMs: { orders: -60_000, fulfilment: 3_000, payments: -5_000, shipping: 60_000, inventory: 600_000 },
      replicas: { inventory: 3, fulfilment: 2 },
    });
    await expectInvariants(platform, await ordersBy(platform, random, 80));
  }, 180_000);

  test('where everything comes again, late and out of order', async () => {
    const random = seededRandom('again');
    const platform = await assemble({ environment: quick });
    const broker = await connectBroker({ url: platform.nats.url, name: 'test' });
    const streams = ['ORDERS', 'FULFILMENT', 'INVENTORY', 'PAYMENTS', 'SHIPPING', 'PUBLIC'];
    const stop = new AbortController();
    const again = (async () => {
      while (!stop.signal.aborted) {
        const stream = oneOf(random, streams);
        const consumers = await Array.fromAsync(broker.manager.consumers.list(stream));
        // One that began when it was made has nothing older, and nothing older may be asked for.
        const { durable_name, deliver_policy } = oneOf(random, consumers).config;
        if (durable_name !== undefined && deliver_policy === 'all') {
          await broker.manager.consumers.reset(stream, durable_name, 1);
        }
        await delay(random() * 100);
      }
    })();
    const orders = await ordersBy(platform, random, 80);
    await delay(3_000);
    stop.abort();
    await again;
    await broker.close();
    await expectInvariants(platform, orders);
  }, 180_000);
});

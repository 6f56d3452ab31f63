import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { startFleet } from './fleet.ts';
import { expectInvariants } from './invariants.ts';
import { oneOf, seededRandom } from './random.ts';
import { shop } from './shoppers.ts';

const fleet = await startFleet({ DEADLINE_PAYMENT: '6s', DEADLINE_STOCK: '20s', CARRIER_DELIVERS_AFTER: '1s' });

/** Shops with several customers while something is done, and on until they have placed enough. */
async function shopping(random: () => number, disturb: () => Promise<void>): Promise<string[]> {
  const stop = new AbortController();
  const shoppers = Array.from({ length: 3 }, () => shop(fleet, random, 10_000, stop.signal));
  await delay(500);
  await disturb();
  await delay(500);
  stop.abort();
  return (await Promise.all(shoppers)).flat();
}

describe('under load', () => {
  test('every service and the gateway die at a random moment, and are started again', async () => {
    const random = seededRandom('crashes');
    const orders = await shopping(random, async () => {
      const victims = Object.values(fleet.members);
      while (victims.length > 0) {
        const victim = oneOf(random, victims);
        victims.splice(victims.indexOf(victim), 1);
        await victim.kill();
        await delay(random() * 200);
        await victim.start();
        await delay(random() * 200);
      }
    });
    expect(orders.length).toBeGreaterThan(20);
    await expectInvariants(fleet, orders);
  }, 240_000);

  test('the broker dies and is started again, and the database is away for 15 s', async () => {
    const random = seededRandom('servers');
    const orders = await shopping(random, async () => {
      await fleet.nats.kill();
      await delay(random() * 1_000);
      await fleet.nats.restart();
      await delay(random() * 500);
      await fleet.mongodb.kill();
      await delay(15_000);
      await fleet.mongodb.restart();
    });
    expect(orders.length).toBeGreaterThan(20);
    await expectInvariants(fleet, orders);
  }, 240_000);
});

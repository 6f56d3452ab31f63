import { randomUUID } from 'node:crypto';
import { createClient } from '@connectrpc/connect';
import { beforeAll, expect, test } from 'vitest';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OrderConfirmedSchema, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { ensureJournals } from '#kit/journal.ts';
import { DEVELOPMENT_KEY, signToken } from '#kit/rpc/identity.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri, sharedNatsUrl } from '#kit/testing/servers.ts';
import { inventory } from '../../services/inventory/inventory.ts';
import { say } from '../../services/operations/testing/shop.ts';
import { transportTo } from '../transport.ts';
import { gatewayTo } from './testing/gateway.ts';
import { runCauseway } from './testing/run.ts';

const ITEMS = 101;

let parts: ServiceParts;
let url: string;
let natsUrl: string;

beforeAll(async () => {
  natsUrl = (await ownNats()).url;
  parts = await openTestParts('inventory', { natsUrl, mongodbUri: sharedMongoUri() });
  await ensureJournals(parts.broker, [journalOf('orders')]);
  const gateway = await gatewayTo(await inventory(parts));
  url = gateway.url;
  return gateway.stop;
});

const audit = (words: readonly string[], environment: Record<string, string> = {}) =>
  runCauseway(['audit', ...words], { CAUSEWAY_URL: url, NATS_URL: natsUrl, ...environment });

test('says that all is as it must be, with all pages of the stock; then what is not, with a failing status', async () => {
  const transport = transportTo(url, await signToken({ subject: 'olga', role: 'operator' }, DEVELOPMENT_KEY, '1h'));
  const items = createClient(InventoryService, transport);
  const unitPrice = { currencyCode: 'EUR', units: 1n };
  for (let number = 1; number <= ITEMS; number++) {
    await items.stockItem({ sku: `item-${number}`, name: 'an item', unitPrice, quantity: number });
  }
  const [placed, lost] = [randomUUID(), randomUUID()];
  await say(parts, { service: 'orders', aggregate: 'order', key: placed }, OrderPlacedSchema, { orderId: placed });

  await expect
    .poll(async () => (await audit([])).stdout, { timeout: 30_000 })
    .toBe(
      [
        // The inventory has told which partitions it came to own.
        `${ITEMS + 2} events of 1 orders (ORDERS 1, FULFILMENT 0, INVENTORY ${ITEMS}, SHIPPING 0, NOTICES 1)`,
        `1 orders wait for its fulfilment to begin, ${placed} among them`,
        'every other order ended once; stock and money are conserved; nothing happened twice; every version follows its last',
        '',
      ].join('\n'),
    );
  expect(await audit(['--nats', natsUrl], { NATS_URL: 'nats://127.0.0.1:1' })).toMatchObject({ status: 0, stderr: '' });

  await say(parts, { service: 'orders', aggregate: 'order', key: lost }, OrderConfirmedSchema, { orderId: lost });
  const [told, json] = await Promise.all([audit([]), audit(['--json'])]);

  const problem = `order ${lost} has events, and was never placed`;
  expect(told).toMatchObject({ status: 1, stderr: '' });
  expect(told.stdout).toContain(`1 problems:\n  ${problem}\n`);
  expect(json).toMatchObject({ status: 1, stderr: '' });
  expect(JSON.parse(json.stdout)).toMatchObject({
    ...{ orders: 2, events: { ORDERS: 2, INVENTORY: ITEMS }, outcomes: {} },
    ...{ waiting: { 'its fulfilment to begin': [placed, lost] }, problems: [problem], problemCount: 1 },
  });
});

test.each<[string, Record<string, string>, string]>([
  ['no broker', { NATS_URL: 'nats://user:hush-hush@127.0.0.1:1' }, 'the broker at NATS_URL can not be reached'],
  ['no address of a broker', { NATS_URL: '' }, 'NATS_URL must be set'],
  ['another broker', { NATS_URL: sharedNatsUrl() }, 'there are no orders at NATS_URL (no journal ORDERS)'],
  ['no gateway', { CAUSEWAY_URL: 'http://127.0.0.1:1' }, 'the gateway at http://127.0.0.1:1 can not be reached'],
])('%s is said in a line, with a failing status', { concurrent: true }, async (_, environment, said) => {
  const { status, stdout, stderr } = await audit([], environment);

  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toContain(said);
  expect(stderr).not.toContain('hush-hush');
});

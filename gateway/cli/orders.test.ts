import { randomUUID } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { ItemListedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { ensureJournals } from '#kit/journal.ts';
import { journalOf } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { telling } from '#kit/testing/told.ts';
import { orders } from '../../services/orders/orders.ts';
import { gatewayTo } from './testing/gateway.ts';
import { runCauseway } from './testing/run.ts';

let url: string;

beforeAll(async () => {
  const nats = await ownNats();
  const parts = await openTestParts('orders', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
  await ensureJournals(parts.broker, [journalOf('inventory')]);
  const unitPrice = { currencyCode: 'EUR', units: 12n, nanos: 500_000_000 };
  const item = { sku: 'beans', name: 'Beans', unitPrice };
  await telling(parts, journalOf('inventory'), 'item')(ItemListedSchema, 'beans', item);
  const gateway = await gatewayTo(await orders(parts));
  url = gateway.url;
  return gateway.stop;
});

const causeway = (...words: string[]) => runCauseway(['orders', ...words], { CAUSEWAY_URL: url });

test('an order is placed, found, cancelled and shown with its timeline', async () => {
  const email = `Anna.${randomUUID()}@Example.com`;
  const placing = ['place', '--customer', 'anna', '--line', 'beans=2', '--email', email];
  const placed = await causeway(...placing, '--request-id', 'r-1');
  const orderId = /^order (\S+) is placed\n$/.exec(placed.stdout)?.[1] ?? '';
  expect(orderId).not.toBe('');

  const watched = causeway('watch', orderId, '--limit', '2');
  const [again, cancelled] = await Promise.all([
    causeway(...placing, '--request-id', 'r-1', '--json'),
    causeway('cancel', orderId, '--because', 'ordered twice'),
  ]);
  expect(JSON.parse(again.stdout)).toMatchObject({ orderId, version: '1' });
  expect(cancelled.stdout).toBe(`order ${orderId} is cancelled\n`);
  const lines = (await watched).stdout.trim().split('\n');
  expect(lines.map((line) => line.replace(/^\S+Z +ORDERS +/, ''))).toEqual([
    expect.stringMatching(/^OrderPlaced, by \S+ {2}\(placed\)$/),
    expect.stringMatching(/^OrderCancelled, by \S+ {2}\(cancelled\)$/),
  ]);

  const [listed, shown, json] = await Promise.all([
    causeway('list', '--email', email.toLowerCase(), '--status', 'cancelled', '--customer', 'anna'),
    causeway('show', orderId),
    causeway('show', orderId, '--json'),
  ]);
  expect(listed).toMatchObject({ status: 0, stderr: '1 order\n' });
  expect(listed.stdout).toMatch(new RegExp(`^${orderId} +cancelled +\\S+Z +25.00 EUR +anna +${email}$`, 'm'));
  expect(shown.stdout).toMatch(/^why +ordered twice$/m);
  expect(shown.stdout).toMatch(/^\S+Z +ORDERS +OrderCancelled +\S+ +cancelled$/m);
  expect(JSON.parse(json.stdout).events).toMatchObject([
    { order: { status: 'ORDER_STATUS_PLACED' }, data: { paymentMethod: 'pm_ok' } },
    { order: { status: 'ORDER_STATUS_CANCELLED' } },
  ]);
});

test.each([
  [['place', '--customer', 'anna', '--email', 'a@b.cd', '--line', 'beans'], 'It is a sku and how many'],
  [['place', '--customer', 'anna', '--email', 'a@b.cd', '--line', 'nothing=1'], 'nothing'],
  [['cancel', randomUUID(), '--because', 'x'], 'there is no order'],
])('%s is refused in words', async (words, said) => {
  const refused = await causeway(...words);
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toContain(said);
});

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { NotificationService } from '#gen/causeway/notifications/v1/notifications_service_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { BuildStatus } from '#gen/causeway/operations/v1/projections_pb.js';
import { type OrderPlaced, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { KeyedConsumer } from '#kit/consumer.ts';
import { PermanentError } from '#kit/errors.ts';
import { EventTypes } from '#kit/event.ts';
import { allPartitions } from '#kit/partitions.ts';
import { journalOf } from '#kit/streams.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import { programEnvironment } from '#kit/testing/program-environment.ts';
import { atTheEnd, openTestParts } from '#kit/testing/servers.ts';
import { audit } from '../gateway/audit/audit.ts';
import { all, grpcAs, ordersOf } from './clients.ts';
import { testPlatform } from './platform.ts';
import { everythingStored, rememberedLog, whereIs } from './stores.ts';

const SOON = { timeout: 15_000, interval: 100 };

const log = rememberedLog();
const platform = await testPlatform({
  // The master key of the parts below.
  environment: { PERSONAL_DATA_KEY: Buffer.alloc(32, 7).toString('hex'), DEADLINE_PAYMENT: '3s' },
  logger: createLogger('causeway', 'debug', log.destination),
});
const parts = await openTestParts('shop', { natsUrl: platform.nats.url, mongodbUri: platform.mongodbUri });
const olga = await grpcAs(platform, 'olga', 'operator');
const {
  eraseCustomer,
  replayDeadLetters,
  getDeadLetter,
  listDeadLetters,
  rebuildProjection,
  listProjections,
  compareProjection,
} = OperationsService.method;

/** Words that stand nowhere unless the customer's data does. */
function person(name: string) {
  const word = () => `${name}${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  const [email, shipTo] = [
    `${word()}@Example.org`,
    {
      name: `${word()} King`,
      line1: `${word()} Square`,
      line2: word(),
      city: word(),
      postalCode: 'SW1',
      countryCode: 'GB',
    },
  ];
  return { data: { email, shipTo }, words: [email, shipTo.name, shipTo.line1, shipTo.line2, shipTo.city] };
}

const [alice, bob, again] = [person('alice'), person('bob'), person('alice')];
const aliceOrders = ordersOf(await grpcAs(platform, 'alice'));
const bobOrders = ordersOf(await grpcAs(platform, 'bob'));

const stored = () => everythingStored(parts, platform.mongodbUri);
const everywhere = async () => [...(await stored()), { name: 'the log', holds: log.text() }];

async function endOf(orders: typeof aliceOrders, orderId: string): Promise<OrderStatus | undefined> {
  const status = (await orders.get(orderId).catch(() => undefined))?.status;
  return status === OrderStatus.COMPLETED || status === OrderStatus.CANCELLED ? status : undefined;
}

/** A consumer of orders that parks all of alice's, until it is mended. */
function shop() {
  const state = { isMended: false, handled: [] as OrderPlaced[] };
  const consumer = new KeyedConsumer<OrderPlaced>(
    {
      name: 'greet',
      sources: [{ journal: journalOf('orders'), aggregate: 'order' }],
      begins: 'with-the-first-event',
      types: new EventTypes([OrderPlacedSchema]),
      async handle({ data }) {
        if (data.customerId === 'alice' && !state.isMended) throw new PermanentError('is refused');
        state.handled.push(data);
      },
    },
    parts,
  );
  atTheEnd(() => consumer.stop());
  return { state, start: () => consumer.own(allPartitions) };
}

test('an erased customer is gone from every store, nobody else is, and everything goes on', async () => {
  const { state, start } = shop();
  await start();
  const [completed, declined, late] = await Promise.all([
    aliceOrders.place(alice.data),
    aliceOrders.place({ ...alice.data, paymentMethod: 'pm_declined' }),
    aliceOrders.place({ ...alice.data, paymentMethod: 'pm_never' }),
  ]);
  const bobs = await bobOrders.place(bob.data);
  const ends = () => Promise.all([endOf(aliceOrders, completed.orderId), endOf(aliceOrders, declined.orderId)]);
  await expect.poll(ends, SOON).toEqual([OrderStatus.COMPLETED, OrderStatus.CANCELLED]);
  await expect.poll(() => endOf(bobOrders, bobs.orderId), SOON).toBe(OrderStatus.COMPLETED);
  const parked = async () => (await olga.call(listDeadLetters, { filter: { consumer: 'shop-greet' } })).keys;
  await expect.poll(async () => (await parked()).length, SOON).toBe(3);
  await replayEdited(completed.orderId);

  // What is sought is there, and found: in views and captured e-mails in the clear, in journals and dead letters by the key.
  await expect
    .poll(async () => [...new Set(whereIs(await stored(), alice.words).map((name) => name.split(' ')[0]))].sort(), SOON)
    .toEqual([
      'DEAD_LETTERS',
      'FULFILMENT',
      'NOTICES',
      'ORDERS',
      'notifications.captured_mail',
      'notifications.notifications_v1',
      'notifications.recipients_v1',
      'orders.history_v3',
      'orders.orders_v2',
    ]);

  const erased = await olga.call(eraseCustomer, { customerId: 'alice', note: 'asked for it', requestId: 'r-1' });

  expect(erased.keysDestroyed).toBe(1);
  await expect.poll(async () => whereIs(await everywhere(), alice.words), SOON).toEqual([]);
  expect(whereIs(await stored(), bob.words)).toEqual(expect.arrayContaining(['orders.orders_v2', 'orders.history_v3']));
  expect(await olga.call(eraseCustomer, { customerId: 'alice', note: 'asked for it', requestId: 'r-1' })).toMatchObject(
    {
      keysDestroyed: 1,
    },
  );

  // An order that was under way comes to an end.
  await expect.poll(() => endOf(aliceOrders, late.orderId), SOON).toBe(OrderStatus.CANCELLED);
  expect(await aliceOrders.get(completed.orderId)).toMatchObject({
    customerId: 'alice',
    email: '',
    paymentMethod: 'pm_ok',
  });
  const [placed] = await aliceOrders.history(completed.orderId);
  expect(placed?.data && anyUnpack(placed.data, OrderPlacedSchema)).toMatchObject({ customerId: 'alice', email: '' });
  expect((await aliceOrders.list()).orders).toHaveLength(3);

  // Who comes back has another key. What was sealed before stays closed.
  const next = await aliceOrders.place(again.data);
  await expect.poll(() => endOf(aliceOrders, next.orderId), SOON).toBe(OrderStatus.COMPLETED);
  expect(await aliceOrders.get(next.orderId)).toMatchObject({ email: again.data.email });
  expect(await emailsTo('alice')).toEqual([again.data.email]);

  state.isMended = true;
  await all(olga.stream(replayDeadLetters, { filter: { consumer: 'shop-greet' }, reason: 'mended', requestId: 'r-2' }));
  const [replayed] = state.handled.filter(({ orderId }) => orderId === declined.orderId);
  expect(replayed).toMatchObject({ customerId: 'alice', email: '' });
  expect(await parked()).toEqual([]);

  await rebuilt([
    ['orders', 'orders'],
    ['orders', 'history'],
    ['notifications', 'recipients'],
    ['notifications', 'notifications'],
  ]);
  expect(whereIs(await everywhere(), alice.words)).toEqual([]);
  expect(whereIs(await stored(), bob.words)).toEqual(
    expect.arrayContaining(['orders.orders_v2_b2', 'orders.history_v3_b2']),
  );
  const { items } = await olga.call(InventoryService.method.listItems, {});
  const stock = new Map(
    items.map(({ sku, available, reserved }) => [sku, { available: Number(available), reserved: Number(reserved) }]),
  );
  await expect.poll(async () => (await audit(parts.broker, stock)).problems, SOON).toEqual([]);
}, 60_000);

/** Where e-mails to a customer went, as its operators are shown; none where it is not known any more. */
async function emailsTo(customerId: string): Promise<string[]> {
  const { listNotifications } = NotificationService.method;
  const { notifications } = await olga.call(listNotifications, { customerId });
  return [...new Set(notifications.map(({ to }) => to))].filter((to) => to !== '');
}

/** Has an edited letter handled, which is recorded; it fails again. */
async function replayEdited(key: string): Promise<void> {
  const [row] = (await olga.call(listDeadLetters, { filter: { consumer: 'shop-greet', key } })).keys;
  const { letter } = await olga.call(getDeadLetter, { sequence: row?.first?.sequence ?? 0n });
  const data = letter?.data && anyUnpack(letter.data, OrderPlacedSchema);
  if (data === undefined) throw new Error('the letter says nothing');
  const edited = anyPack(OrderPlacedSchema, { ...data, paymentMethod: 'pm_edited' });
  const filter = { consumer: 'shop-greet', key };
  await all(olga.stream(replayDeadLetters, { filter, edited, reason: 'to see', requestId: 'edit' }));
}

/** Builds views anew, and compares each with what was there before: it is what the erasure has made of it. */
async function rebuilt(views: readonly (readonly [string, string])[]): Promise<void> {
  for (const [service, view] of views) {
    await olga.call(rebuildProjection, { service, view, reason: 'to see', switchWhenCaughtUp: true });
  }
  const active = async () => {
    const { projections } = await olga.call(listProjections, {});
    return views.map(([service, name]) => {
      const found = projections.find((each) => each.service === service && each.view === name);
      return found?.builds.find(({ status }) => status === BuildStatus.ACTIVE)?.build;
    });
  };
  await expect.poll(active, { timeout: 30_000, interval: 200 }).toEqual(views.map(() => 2));
  for (const [service, view] of views) {
    const comparison = (await all(olga.stream(compareProjection, { service, view, build: 1 }))).at(-1);
    expect({ view, ...comparison }).toMatchObject({ view, different: 0n, missing: 0n, extra: 0n });
    expect(comparison?.same).toBeGreaterThan(0n);
  }
}

/** As an operator does: `npm run causeway -- erase-customer ...`. */
async function erase(...words: string[]) {
  const command = ['gateway/cli/main.ts', 'erase-customer', '--url', platform.http, ...words];
  return promisify(execFile)(process.execPath, command, {
    cwd: new URL('..', import.meta.url),
    env: { ...programEnvironment() },
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

test('the operator tool erases where it is told yes, and says what it did', async () => {
  await ordersOf(await grpcAs(platform, 'carol')).place(person('carol').data);

  expect(await erase('--subject', 'carol')).toEqual({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('Nothing was done: say --yes'),
  });
  expect(await erase('--subject', 'nobody', '--yes')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('nothing was ever stored of customer nobody'),
  });
  expect(await erase('--subject', 'carol', '--yes')).toEqual({
    code: 0,
    stdout: 'destroyed 1 key of customer carol\n',
    stderr: '',
  });
});

import { spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ShipmentRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { Resolution } from '#gen/causeway/operations/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import { CommandHandler } from '#kit/decider.ts';
import { EventTypes, readEvent } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import type { Service } from '#kit/lifecycle.ts';
import { subjectOf } from '#kit/partitions.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { programEnvironment } from '#kit/testing/program-environment.ts';
import { type OwnServer, openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { fulfilmentAggregate } from './adapters/fulfilment-aggregate.ts';
import type { FulfilmentCommand } from './domain/fulfilment.ts';
import { fulfilment } from './fulfilment.ts';
import { Stage } from './testing/stage.ts';
import { allGoesWell, type Plan, World } from './testing/world.ts';

const HOUR_MS = 3_600_000;
const patient = { stockDeadlineMs: HOUR_MS, paymentDeadlineMs: HOUR_MS, shipmentDeadlineMs: HOUR_MS };
const quick = { consumers: { backoff: { minMs: 2, maxMs: 20 } }, deadlines: { everyMs: 20 } };

let nats: OwnServer;
let mongodbUri: string;
let stageParts: ServiceParts;

beforeAll(async () => {
  nats = await ownNats();
  mongodbUri = sharedMongoUri();
  stageParts = await openTestParts('stage', { natsUrl: nats.url, mongodbUri });
});

/** The service in this process; stopped when the test ends. */
async function started(patience = patient, clock?: () => Date): Promise<Service> {
  const parts = await openTestParts('fulfilment', {
    natsUrl: nats.url,
    mongodbUri,
    ...(clock === undefined ? {} : { clock }),
  });
  const service = await fulfilment(parts, patience, quick);
  await service.start();
  onTestFinished(() => service.stop());
  return service;
}

const worldWith = (changes: Partial<Plan> = {}) => new World(randomUUID(), { ...allGoesWell, ...changes });
const eventually = (read: () => unknown) => expect.poll(read, { interval: 10, timeout: 10_000 });
const forward = ['StockRequested', 'PaymentRequested', 'ShipmentRequested', 'CaptureRequested', 'FulfilmentCompleted'];

/** How often an order's last message in a journal was asked for, from now on. */
async function watchLooks(stream: string) {
  let looks = 0;
  const count = () => {
    looks++;
  };
  const subscription = stageParts.broker.connection.subscribe(`$JS.API.STREAM.MSG.GET.${stream}`, { callback: count });
  onTestFinished(() => subscription.unsubscribe());
  await stageParts.broker.connection.flush();
  return () => looks;
}

test('an order goes the straight way with five events, each caused by what came before it', async () => {
  const stage = await Stage.open(stageParts);
  await started();
  const world = worldWith();
  stage.place(world);

  await eventually(() => world.order).toBe('Completed');

  expect(await stage.steps(world.orderId)).toEqual(forward);
  const events = await stage.events(world.orderId);
  expect(events.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5]);
  expect(new Set(events.map(({ causationId }) => causationId)).size).toBe(5);
  for (const { correlationId, actor } of events) {
    expect({ correlationId, actor }).toEqual({
      correlationId: `correlation of ${world.orderId}`,
      actor: 'fulfilment',
    });
  }
  expect(events[2]?.data).toMatchObject({
    shipTo: { name: 'Alice', line1: '1 Main St', city: 'Cork', countryCode: 'IE' },
    lines: [{ sku: 'coffee-beans', quantity: 2 }],
  });
});

const payBack = ['PaymentVoidRequested', 'StockReleaseRequested', 'FulfilmentFailed'];

test.each<{ what: string; plan: Partial<Plan>; patience?: Partial<typeof patient>; steps: string[]; why: string[] }>([
  {
    what: 'nothing is in stock',
    plan: { stock: 'none' },
    steps: ['StockRequested', 'FulfilmentFailed'],
    why: ['OUT_OF_STOCK', 'out of stock: coffee-beans'],
  },
  {
    what: 'the payment is declined',
    plan: { payment: 'declined' },
    steps: ['StockRequested', 'PaymentRequested', 'StockReleaseRequested', 'FulfilmentFailed'],
    why: ['PAYMENT_DECLINED', 'the payment was declined: card_declined'],
  },
  {
    what: 'inventory does not answer in time',
    plan: { stock: 'silent' },
    patience: { stockDeadlineMs: 50 },
    steps: ['StockRequested', 'StockReleaseRequested', 'FulfilmentFailed'],
    why: ['STOCK_DEADLINE', 'the goods were not reserved in time'],
  },
  {
    what: 'the payment is not authorised in time',
    plan: { payment: 'silent' },
    patience: { paymentDeadlineMs: 50 },
    steps: ['StockRequested', 'PaymentRequested', ...payBack],
    why: ['PAYMENT_DEADLINE', 'the payment was not authorised in time'],
  },
  {
    what: 'the goods are not sent in time',
    plan: { shipment: 'silent' },
    patience: { shipmentDeadlineMs: 50 },
    steps: [...forward.slice(0, 3), 'ShipmentCancelRequested', ...payBack],
    why: ['SHIPMENT_DEADLINE', 'the goods were not sent in time'],
  },
  {
    what: 'shipping can not send the goods',
    plan: { shipment: 'refused' },
    steps: [...forward.slice(0, 3), ...payBack],
    why: ['SHIPMENT_REFUSED', 'the goods could not be sent'],
  },
])('where $what, all is undone and the order is cancelled', async ({ plan, patience, steps, why }) => {
  const stage = await Stage.open(stageParts);
  await started({ ...patient, ...patience });
  const world = worldWith(plan);
  stage.place(world);

  await eventually(() => world.order).toBe('Cancelled');

  expect(await stage.steps(world.orderId)).toEqual(steps);
  const last = (await stage.events(world.orderId)).at(-1);
  const [reason, description] = why;
  expect(last?.data).toMatchObject({ reason, description });
  expect(last?.correlationId).toBe(`correlation of ${world.orderId}`);
  expect(['None', 'Declined', 'Voided']).toContain(world.payment);
  expect(['Rejected', 'Released']).toContain(world.stock);
});

test('where the customer cancels while the payment is asked for, what was authorised is voided', async () => {
  const stage = await Stage.open(stageParts);
  await started();
  const world = worldWith({ payment: 'silent' });
  stage.place(world);
  await eventually(() => world.payment).toBe('Asked');
  stage.say(world, world.cancel());

  await eventually(() => stage.steps(world.orderId)).toEqual(['StockRequested', 'PaymentRequested', ...payBack]);

  const last = (await stage.events(world.orderId)).at(-1);
  expect(last?.data).toMatchObject({ reason: 'ORDER_CANCELLED', description: 'cancelled: changed my mind' });
});

test('what has left already when it is called back is paid for and completed', async () => {
  const stage = await Stage.open(stageParts);
  await started({ ...patient, shipmentDeadlineMs: 50 });
  const world = worldWith();
  stage.hold('shipping');
  stage.place(world);
  await eventually(() => stage.steps(world.orderId)).toContain('ShipmentCancelRequested');
  stage.release('shipping');

  await eventually(() => world.order).toBe('Completed');

  const turned = [...forward.slice(0, 3), 'ShipmentCancelRequested', 'CaptureRequested', 'FulfilmentCompleted'];
  expect(await stage.steps(world.orderId)).toEqual(turned);
});

describe('an operator', () => {
  const attention = 'FulfilmentNeedsAttention';

  test('has a capture that was refused tried again', async () => {
    const stage = await Stage.open(stageParts);
    await started();
    const world = worldWith({ captureRefusals: 2 });
    stage.place(world);
    for (const refusals of [1, 2]) {
      await eventually(async () =>
        (await stage.steps(world.orderId)).filter((step) => step === attention),
      ).toHaveLength(refusals);
      stage.say(world, world.resolve(Resolution.RETRY));
    }

    await eventually(() => world.order).toBe('Completed');

    const told = (await stage.events(world.orderId)).findLast(({ type }) => type.endsWith(attention));
    const tried = ['capture refused: expired', 'capture refused: expired'];
    expect(told?.data).toMatchObject({ problem: 'CAPTURE_REFUSED', tried });
  });

  test('has asked once, however often that is heard', async () => {
    const stage = await Stage.open(stageParts);
    await started();
    const world = worldWith({ captureRefusals: 2 });
    const needs = async () => (await stage.steps(world.orderId)).filter((step) => step === attention).length;
    stage.place(world);
    await eventually(needs).toBe(1);
    stage.say(world, world.resolve(Resolution.RETRY));
    await eventually(needs).toBe(2);
    const asked = await new Journal(journalOf('operations'), stageParts.broker).lastOnLeader(
      subjectOf('operations', 'fulfilment', world.orderId),
    );
    if (asked === undefined) throw new Error('the operator has asked nothing');
    await stageParts.broker.js.publish(asked.subject, asked.data, { headers: asked.headers });
    stage.say(world, world.resolve(Resolution.SETTLED));

    await eventually(() => world.order).toBe('Completed');

    const steps = [...forward.slice(0, 4), attention, 'CaptureRequested', attention, 'FulfilmentCompleted'];
    expect(await stage.steps(world.orderId)).toEqual(steps);
  });

  test('says that a void was settled outside, and the undoing goes on', async () => {
    const stage = await Stage.open(stageParts);
    await started({ ...patient, paymentDeadlineMs: 50 });
    const world = worldWith({ voidRefusals: 1 });
    stage.hold('payments');
    stage.place(world);
    await eventually(() => stage.steps(world.orderId)).toContain('PaymentVoidRequested');
    // The order is confirmed now, and cancelled all the same.
    stage.release('payments');
    await eventually(() => stage.steps(world.orderId)).toContain(attention);
    expect(world.order).toBe('Confirmed');
    stage.say(world, world.resolve(Resolution.SETTLED));

    await eventually(() => world.order).toBe('Cancelled');

    const steps = ['StockRequested', 'PaymentRequested', 'PaymentVoidRequested', attention, ...payBack.slice(1)];
    expect(await stage.steps(world.orderId)).toEqual(steps);
  });
});

test('an answer that was said already wins over the clock, however late it is heard of', async () => {
  const stage = await Stage.open(stageParts);
  await started({ ...patient, paymentDeadlineMs: 50 });
  const looks = await watchLooks('PAYMENTS');
  const world = worldWith();
  stage.place(world);
  stage.hold('orders');
  await eventually(looks).toBeGreaterThan(5);
  expect(await stage.steps(world.orderId)).toEqual(['StockRequested', 'PaymentRequested']);
  stage.release('orders');

  await eventually(() => world.order).toBe('Completed');

  expect(await stage.steps(world.orderId)).toEqual(forward);
});

test('a deadline that passed while nobody was there is seen by whoever comes next', async () => {
  const stage = await Stage.open(stageParts);
  const first = await started({ ...patient, paymentDeadlineMs: 200 });
  const world = worldWith({ payment: 'silent' });
  stage.place(world);
  await eventually(() => world.payment).toBe('Asked');
  await first.stop();
  await delay(200);
  expect(await stage.steps(world.orderId)).toEqual(['StockRequested', 'PaymentRequested']);
  await started();

  await eventually(() => world.order).toBe('Cancelled');
});

test('a process whose clock is ahead undoes early by that much, and by no more', async () => {
  const stage = await Stage.open(stageParts);
  const right = await started({ ...patient, paymentDeadlineMs: 10_000 });
  const world = worldWith({ payment: 'silent' });
  stage.place(world);
  await eventually(() => world.payment).toBe('Asked');
  await right.stop();
  let aheadMs = 5_000;
  await started(patient, () => new Date(Date.now() + aheadMs));
  const another = worldWith();
  stage.place(another);
  await eventually(() => another.order).toBe('Completed');
  expect(await stage.steps(world.orderId)).toEqual(['StockRequested', 'PaymentRequested']);
  aheadMs = 11_000;

  await eventually(() => world.order).toBe('Cancelled');

  expect(await stage.steps(world.orderId)).toEqual(['StockRequested', 'PaymentRequested', ...payBack]);
});

test("a customer's data is nowhere in the journal in the clear, and its end does not end the fulfilment", async () => {
  const stage = await Stage.open(stageParts);
  await started();
  const world = worldWith();
  stage.place(world);
  stage.hold('orders');
  await eventually(() => world.payment).toBe('Authorized');
  const stored = await stage.stored(world.orderId);
  for (const { data, headers } of stored) {
    const state = Buffer.from(headers.get('Causeway-State'), 'base64');
    for (const bytes of [Buffer.from(data), state]) expect(bytes.includes('Main St')).toBe(false);
    expect(headers.get('Causeway-Key')).not.toBe('');
  }
  const parts = await openTestParts('eraser', { natsUrl: nats.url, mongodbUri });
  await parts.personalData.destroy(world.customerId);
  stage.release('orders');

  await eventually(() => world.order).toBe('Completed');
});

test('an address that was erased is none, and not an empty one', async () => {
  const journal = new Journal(journalOf('fulfilment'), stageParts.broker);
  await journal.ensure();
  const { personalData } = stageParts;
  const commands = new CommandHandler(journal, fulfilmentAggregate, personalData);
  const orderId = randomUUID();
  const customerId = `customer of ${orderId}`;
  const deadline = { seconds: 4_000_000_000n, nanos: 0 };
  const shipTo = { name: 'A', line1: 'B', line2: '', city: 'C', postalCode: 'D', countryCode: 'IE' };
  const amount = { currencyCode: 'EUR', units: 1n, nanos: 0 };
  const placed = { customerId, lines: [], amount, paymentMethod: 'pm_ok', shipTo, deadline };
  const send = (command: FulfilmentCommand) =>
    commands.handle({ key: orderId, command, ...causedBy({ id: randomUUID(), correlationId: '' }, 'fulfilment') });
  await send({ type: 'OrderPlaced', orderId, ...placed });
  await personalData.destroy(customerId);
  await send({ type: 'StockReserved', orderId, deadline });
  await send({ type: 'OrderConfirmed', orderId, deadline });

  const last = await journal.lastOnLeader(subjectOf('fulfilment', 'fulfilment', orderId));
  if (last === undefined) throw new Error('nothing was stored');
  const { data } = await readEvent(last, new EventTypes([ShipmentRequestedSchema]), personalData);

  expect(data).toMatchObject({ orderId, customerId });
  expect(data).not.toHaveProperty('shipTo');
});

test('the largest order that there may be has room in the journal, in every state that it comes to', async () => {
  const journal = new Journal(journalOf('fulfilment'), stageParts.broker);
  await journal.ensure();
  const commands = new CommandHandler(journal, fulfilmentAggregate, stageParts.personalData);
  const orderId = randomUUID();
  const text = (length: number) => '\u{1F6D2}'.repeat(length);
  const deadline = { seconds: 4_000_000_000n, nanos: 999_999_999 };
  const lines = Array.from({ length: 100 }, (_, index) => ({ sku: `${index}`.padEnd(64, 'x'), quantity: 10_000 }));
  const shipTo = {
    name: text(100),
    line1: text(200),
    line2: text(200),
    city: text(100),
    postalCode: text(20),
    countryCode: 'IE',
  };
  const amount = { currencyCode: 'EUR', units: 2n ** 62n, nanos: 999_999_999 };
  const placed = { customerId: 'c'.repeat(128), lines, amount, paymentMethod: 'p'.repeat(64), shipTo, deadline };
  const sent: FulfilmentCommand[] = [
    { type: 'OrderPlaced', orderId, ...placed },
    { type: 'StockReserved', orderId, deadline },
    { type: 'OrderCancelled', orderId, reason: text(500) },
    ...Array.from({ length: 12 }, (): FulfilmentCommand[] => [
      { type: 'PaymentVoidRefused', orderId, reason: text(500) },
      { type: 'Resolve', orderId, resolution: 'RETRY' },
    ]).flat(),
  ];
  const sizes: number[] = [];
  for (const command of sent) {
    const event = { id: randomUUID(), correlationId: 'c'.repeat(128) };
    await commands.handle({ key: orderId, command, ...causedBy(event, 'fulfilment') });
    const last = await journal.lastOnLeader(subjectOf('fulfilment', 'fulfilment', orderId));
    sizes.push(last?.headers.get('Causeway-State').length ?? 0);
  }

  expect(sizes).toHaveLength(27);
  expect(Math.max(...sizes)).toBeLessThan(16 * 1024);
});

/** The service in a process of its own, as it is run in production. */
async function processOf(environment: Record<string, string>): Promise<{ kill(): Promise<void> }> {
  const child = spawn(process.execPath, ['services/fulfilment/main.ts'], {
    env: {
      ...programEnvironment(),
      NATS_URL: nats.url,
      MONGODB_URI: mongodbUri,
      PERSONAL_DATA_KEY: Buffer.alloc(32, 7).toString('base64'),
      SERVICE_GRPC_PORT: '0',
      SERVICE_HTTP_PORT: '0',
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  onTestFinished(kill);
  for await (const line of child.stderr) if (String(line).includes('is running')) break;
  child.stderr.on('data', () => {}).resume();
  return { kill };
}

test('killed again and again, with every answer twice or late, each order ends as it must', async () => {
  const seed = randomInt(2 ** 31);
  const random = mulberry(seed);
  const pick = <Item>(...items: Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const stage = await Stage.open(stageParts, { delayMs: () => random() * 60, times: () => pick(1, 1, 2) });
  const environment = { DEADLINE_STOCK: '1s', DEADLINE_PAYMENT: '1s', DEADLINE_SHIPMENT: '1s' };
  const worlds = Array.from({ length: 40 }, () =>
    worldWith({
      stock: pick('enough', 'enough', 'enough', 'none', 'silent'),
      payment: pick('authorized', 'authorized', 'authorized', 'declined', 'silent'),
      captureRefusals: pick(0, 0, 0, 1),
      voidRefusals: pick(0, 1),
      shipment: pick('dispatched', 'dispatched', 'refused', 'silent'),
    }),
  );
  const placing = (async () => {
    for (const world of worlds) {
      stage.place(world);
      if (random() < 0.2) void delay(random() * 200).then(() => stage.say(world, world.cancel()));
      await delay(random() * 60);
    }
  })();
  let running = await processOf(environment);
  for (let kills = 0; kills < 2; kills++) {
    await delay(random() * 400);
    await running.kill();
    running = await processOf(environment);
  }
  await placing;

  for (const world of worlds) {
    await expect
      .poll(() => endOf(stage, world), {
        interval: 50,
        timeout: 20_000,
        message: `seed ${seed}: ${JSON.stringify(world)}`,
      })
      .toMatch(/^(Completed|Failed)$/);
    const { order, stock, payment, shipment } = world;
    const ends = { order, stock, payment, shipment };
    if (order === 'Completed') {
      expect(ends).toMatchObject({ stock: 'Committed', payment: 'Captured', shipment: 'Dispatched' });
    } else {
      expect(['Rejected', 'Released'], `seed ${seed}`).toContain(stock);
      expect(['None', 'Declined', 'Voided'], `seed ${seed}`).toContain(payment);
      expect(['None', 'Refused', 'Cancelled'], `seed ${seed}`).toContain(shipment);
    }
  }
}, 60_000);

/** How the order's fulfilment has ended; what needs attention is tried again. */
async function endOf(stage: Stage, world: World): Promise<string> {
  const events = await stage.events(world.orderId);
  expect(events.map(({ version }) => version)).toEqual(events.map((_, index) => index + 1));
  const last = events.at(-1)?.type.split('.').at(-1) ?? '';
  if (last === 'FulfilmentNeedsAttention') stage.say(world, world.resolve(Resolution.RETRY));
  const isOver = world.order === 'Completed' || world.order === 'Cancelled';
  return isOver ? last.replace('Fulfilment', '') : last;
}

/** A small generator of random numbers that can be seeded. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

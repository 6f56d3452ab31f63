import { randomUUID } from 'node:crypto';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { EmailKind } from '#gen/causeway/notifications/v1/email_kind_pb.js';
import { type EmailSent, EmailSentSchema } from '#gen/causeway/notifications/v1/events_pb.js';
import {
  type ListNotificationsRequestSchema,
  type ListNotificationsResponse,
  type Notification,
  NotificationService,
} from '#gen/causeway/notifications/v1/notifications_service_pb.js';
import {
  OrderCancelledSchema,
  OrderConfirmedSchema,
  OrderPlacedSchema,
  OrderShippedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { PaymentRefundedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import { EventTypes, type RecordedEvent, readEvent } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import type { Service } from '#kit/lifecycle.ts';
import { partitionOf, subjectOf } from '#kit/partitions.ts';
import type { Caller } from '#kit/rpc/call.ts';
import { journalOf, NOTICES } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { telling } from '#kit/testing/told.ts';
import { notifications } from './notifications.ts';
import { mailServer } from './testing/mail-server.ts';

const nats = await ownNats();
const parts = await openParts(nats.url);
const settings = { smtpUrl: undefined, mailFrom: 'Causeway <orders@causeway.example>' };
const ordersSay = telling(parts, journalOf('orders'), 'order');
const paymentsSay = telling(parts, journalOf('payments'), 'payment');
const service = await notifications(parts, settings);

const olga: Caller = { subject: 'olga', role: 'operator' };
const price = (units: bigint) => ({ currencyCode: 'EUR', units, nanos: 0 });

function openParts(natsUrl: string) {
  return openTestParts('notifications', { natsUrl, mongodbUri: sharedMongoUri() });
}

const place = (orderId: string, customerId = 'anna', email = `${customerId}@example.com`) =>
  ordersSay(
    OrderPlacedSchema,
    orderId,
    {
      orderId,
      customerId,
      email,
      lines: [{ sku: 'beans', name: 'Coffee <beans>', quantity: 2, unitPrice: price(12n) }],
      total: price(24n),
      shipTo: { name: 'Anna <b>' },
    },
    { dataOwner: customerId },
  );
const confirm = (orderId: string, words = {}) => ordersSay(OrderConfirmedSchema, orderId, { orderId }, words);

async function list(
  request: MessageInitShape<typeof ListNotificationsRequestSchema>,
  caller: Caller = olga,
  from: Service = service,
): Promise<Notification[]> {
  const call = {
    caller,
    authorization: '',
    correlationId: 'c',
    signal: AbortSignal.timeout(5_000),
    deadline: undefined,
  };
  const method = NotificationService.method.listNotifications;
  const answer = await from.doors[0]?.messages.unary(method, create(method.input, request), call);
  return (answer as ListNotificationsResponse).notifications;
}

/** The order's e-mails, the oldest first, once there are so many. */
async function told(orderId: string, count: number, from: Service = service): Promise<Notification[]> {
  await expect.poll(async () => (await list({ orderId }, olga, from)).length).toBe(count);
  return (await list({ orderId }, olga, from)).reverse();
}

/** Once nothing is left to do in the order's partition. */
async function settled(orderId: string, stream = 'ORDERS', reaction = 'email-on-order-progress'): Promise<void> {
  const consumer = `notifications-${reaction}-${partitionOf(orderId)}`;
  await expect
    .poll(async () => {
      const info = await parts.broker.manager.consumers.info(stream, consumer);
      return info.num_pending + info.num_ack_pending;
    })
    .toBe(0);
}

async function recordOf(orderId: string): Promise<RecordedEvent<EmailSent>[]> {
  const stored = await new Journal(NOTICES, parts.broker).history(subjectOf('notices', 'email', orderId));
  const types = new EventTypes([EmailSentSchema]);
  return Promise.all(stored.map((message) => readEvent(message, types, parts.personalData))) as never;
}

const longAgo = randomUUID();

beforeAll(async () => {
  await place(longAgo);
  await confirm(longAgo);
  await service.start();
});
afterAll(() => service.stop());

describe('a customer', () => {
  test('is told by e-mail that the order is confirmed, shipped and refunded', async () => {
    const orderId = randomUUID();
    await place(orderId);
    const causes = [
      await confirm(orderId),
      await ordersSay(OrderShippedSchema, orderId, { orderId, trackingNumber: 'CW-1' }),
    ];
    await told(orderId, 2);
    causes.push(await paymentsSay(PaymentRefundedSchema, orderId, { orderId, refundId: 'r', amount: price(5n) }));

    const emails = await told(orderId, 3);

    expect(emails).toMatchObject([
      { kind: EmailKind.ORDER_CONFIRMED, text: expect.stringContaining('2 x Coffee <beans>, 12.00 EUR each') },
      { kind: EmailKind.ORDER_SHIPPED, text: expect.stringContaining('CW-1') },
      { kind: EmailKind.PAYMENT_REFUNDED, text: expect.stringContaining('5.00 EUR') },
    ]);
    expect(emails.map(({ causeId }) => causeId)).toEqual(causes.map(({ id }) => id));
    for (const email of emails) {
      expect(email).toMatchObject({ orderId, customerId: 'anna', to: 'anna@example.com' });
      expect(email.html).toContain('Hello Anna &lt;b&gt;,');
    }
    expect((await recordOf(orderId)).map(({ causationId, version }) => [causationId, version])).toEqual(
      causes.map(({ id }, index) => [id, index + 1]),
    );
  });

  test('is told why an order is cancelled', async () => {
    const orderId = randomUUID();
    await place(orderId);
    await ordersSay(OrderCancelledSchema, orderId, { orderId, reason: 'out of stock: beans' });

    expect(await told(orderId, 1)).toMatchObject([
      { kind: EmailKind.ORDER_CANCELLED, text: expect.stringContaining('out of stock: beans') },
    ]);
  });

  test('is told once, also where the event comes again', async () => {
    const orderId = randomUUID();
    await place(orderId);
    const { id } = await confirm(orderId);
    await told(orderId, 1);

    await confirm(orderId, { id });
    await settled(orderId);

    expect(await recordOf(orderId)).toHaveLength(1);
    expect(await parts.db.collection('captured_mail').countDocuments({ orderId })).toBe(1);
  });

  test('who was erased is told nothing, and nothing is parked', async () => {
    const orderId = randomUUID();
    await place(orderId, 'erik');
    await settled(orderId);
    await parts.personalData.destroy('erik');

    await confirm(orderId);
    await settled(orderId);

    expect(await recordOf(orderId)).toEqual([]);
    expect(await parts.db.collection('captured_mail').countDocuments({ customerId: 'erik' })).toBe(0);
  });

  test('is not told what happened before there was anybody to tell it', async () => {
    const orderId = randomUUID();
    await place(orderId);
    await confirm(orderId);
    await told(orderId, 1);

    expect(await list({ orderId: longAgo })).toEqual([]);
  });
});

describe('what a customer sees', () => {
  const anna: Caller = { subject: 'anna', role: 'customer' };

  test('are its own e-mails', async () => {
    const [hers, his] = [randomUUID(), randomUUID()];
    await place(hers, 'anna');
    await place(his, 'bert');
    await Promise.all([confirm(hers), confirm(his)]);
    await Promise.all([told(hers, 1), told(his, 1)]);

    const seen = await list({ pageSize: 100 }, anna);

    expect(seen.map(({ orderId }) => orderId)).toContain(hers);
    expect(new Set(seen.map(({ customerId }) => customerId))).toEqual(new Set(['anna']));
    expect(await list({ orderId: his }, anna)).toEqual([]);
    expect(await list({ customerId: 'anna', orderId: hers }, anna)).toHaveLength(1);
    expect((await list({ customerId: 'bert' })).map(({ orderId }) => orderId)).toEqual([his]);
  });

  test("are nobody else's", async () => {
    await expect(list({ customerId: 'bert' }, anna)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });
});

describe('with a mail server', () => {
  test('e-mails wait for one that is away, and what it refuses is parked, while others go on', async () => {
    const [server, ownBroker] = [await mailServer(), await ownNats()];
    const own = await openParts(ownBroker.url);
    const mailed = await notifications(own, { ...settings, smtpUrl: server.url });
    onTestFinished(() => mailed.stop());
    await mailed.start();
    const say = telling(own, journalOf('orders'), 'order');
    const order = async (email: string) => {
      const orderId = randomUUID();
      await say(OrderPlacedSchema, orderId, { orderId, customerId: 'carl', email }, { dataOwner: 'carl' });
      await say(OrderConfirmedSchema, orderId, { orderId });
      return orderId;
    };
    server.answer({ connect: 421 });

    const waiting = await order('carl@example.com');
    await expect.poll(async () => (await mailed.health()).reasons.join()).toContain('the mail server is away');
    expect(server.received).toEqual([]);
    server.answer({});
    await expect.poll(() => server.received.length).toBe(1);
    server.answer({ to: 550 });
    const refused = await order('nobody@example.com');
    const letters = new Journal({ service: 'dead', stream: 'DEAD_LETTERS' }, own.broker);
    const letter = `dead.notifications-email-on-order-progress.${partitionOf(refused)}.${refused}`;
    await expect.poll(async () => (await letters.lastOnLeader(letter)) !== undefined).toBe(true);
    server.answer({});
    const after = await order('carl@example.com');

    await expect
      .poll(() => server.received.map(({ headers }) => headers.get('x-causeway-order-id')))
      .toEqual([waiting, after]);
    expect(await told(after, 1, mailed)).toMatchObject([{ to: 'carl@example.com', text: '', html: '' }]);
    expect((await mailed.health()).ready).toBe(true);
  });

  test('nothing that happens after the start is missed', async () => {
    const own = await openParts((await ownNats()).url);
    const started = await notifications(own, settings);
    onTestFinished(() => started.stop());

    await started.start();

    // Its consumers, which begin now, are there.
    expect(await started.health()).toEqual({ ready: true, reasons: [] });
  });

  test('a sender that is none keeps the service from being made', async () => {
    await expect(notifications(parts, { ...settings, mailFrom: 'Causeway' })).rejects.toThrow('MAIL_FROM must be');
  });
});

test('an order that was placed long before its e-mail is found in the view', async () => {
  // The second start has nothing in memory of what was placed before.
  const orderId = randomUUID();
  await place(orderId);
  await settled(orderId);
  const other = await openParts(nats.url);
  await service.stop();
  const second = await notifications(other, settings);
  await second.start();

  await confirm(orderId);
  await paymentsSay(PaymentRefundedSchema, orderId, { orderId, refundId: 'r', amount: price(5n) });

  expect((await told(orderId, 2, second)).map(({ to }) => to)).toEqual(['anna@example.com', 'anna@example.com']);
  await second.stop();
});

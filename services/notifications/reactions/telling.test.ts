import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { EmailKind } from '#gen/causeway/notifications/v1/email_kind_pb.js';
import { OrderConfirmedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { PermanentError, TransientError, UnavailableError } from '#kit/errors.ts';
import type { RecordedEvent } from '#kit/event.ts';
import { DataKey } from '#kit/personal-data.ts';
import type { RecordEmail } from '../domain/email.ts';
import type { Email } from '../emails/email.ts';
import type { Recipient } from '../views/recipients/recipients-view.ts';
import { Telling } from './telling.ts';

const now = new Date('2026-11-24T12:00:00Z');
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000);

const confirmed = {
  id: 'event-1',
  key: 'order-1',
  correlationId: 'correlation-1',
  time: hoursAgo(0),
  data: create(OrderConfirmedSchema, { orderId: 'order-1' }),
} as unknown as RecordedEvent;

const anna: Recipient = {
  customerId: 'anna',
  email: 'anna@example.com',
  name: 'Anna',
  lines: [],
  total: { currencyCode: 'EUR', units: 1, nanos: 0 },
  keyId: 'YW5uYQ.1',
};

/** Everything that outlives a process, and what can go wrong. */
function world() {
  const sent: Email[] = [];
  const recorded: RecordEmail[] = [];
  const viewed = new Set<string>();
  const keys = new Map([[anna.keyId, new DataKey(anna.keyId, Buffer.alloc(32, 1))]]);
  const wrong: { sending?: Error; recording?: Error } = {};
  /** A process, which may be one of several that were there, one after the other. */
  const process = () => {
    const telling = new Telling({
      record: {
        told: async () => (recorded.length === 0 ? undefined : { causeIds: recorded.map(({ causeId }) => causeId) }),
        record: async ({ command }) => {
          if (wrong.recording !== undefined) throw wrong.recording;
          recorded.push(command);
        },
        wasSent: async (causeId) => viewed.has(causeId),
      },
      mailer: {
        send: async (email) => {
          if (wrong.sending !== undefined) throw wrong.sending;
          sent.push(email);
        },
        close: async () => {},
      },
      from: { name: 'Causeway', address: 'orders@causeway.example' },
      keys: { find: (id) => keys.get(id) },
      clock: () => now,
    });
    return (event: Partial<RecordedEvent> = {}, recipient: Recipient | null = anna) =>
      telling.tell(
        { ...confirmed, ...event } as RecordedEvent,
        { kind: EmailKind.ORDER_CONFIRMED, news: { type: 'OrderConfirmed' } },
        async () => recipient ?? undefined,
        new AbortController().signal,
      );
  };
  return { sent, recorded, viewed, keys, wrong, process };
}

test('an event is told to who ordered, and recorded', async () => {
  const { sent, recorded, process } = world();

  await process()();

  expect(sent).toMatchObject([
    { to: { name: 'Anna', address: 'anna@example.com' }, date: confirmed.time, orderId: 'order-1' },
  ]);
  const messageId = sent[0]?.messageId;
  expect(recorded).toMatchObject([{ causeId: 'event-1', customerId: 'anna', to: 'anna@example.com', messageId }]);
});

test('an event that comes again, to whomever, is told once', async () => {
  const { sent, process } = world();
  const tell = process();

  await tell();
  await tell();
  await process()();

  expect(sent).toHaveLength(1);
});

test('a process that dies after sending leaves an e-mail that is recognisable when it comes again', async () => {
  const { sent, recorded, wrong, process } = world();
  wrong.recording = new UnavailableError('killed here');
  await process()().catch(() => {});
  delete wrong.recording;

  await process()();

  expect(sent.map(({ messageId }) => messageId)).toEqual([sent[0]?.messageId, sent[0]?.messageId]);
  expect(recorded).toHaveLength(1);
});

test('a broker that goes away after the e-mail was sent does not have it sent again', async () => {
  const { sent, recorded, wrong, process } = world();
  const tell = process();
  wrong.recording = new UnavailableError('the broker is away');
  for (let attempt = 0; attempt < 3; attempt++) await expect(tell()).rejects.toThrow(UnavailableError);
  delete wrong.recording;

  await tell();

  expect([sent.length, recorded.length]).toEqual([1, 1]);
});

test('an e-mail that was not taken is not recorded', async () => {
  const { recorded, wrong, process } = world();
  wrong.sending = new TransientError('later');

  await expect(process()()).rejects.toThrow(TransientError);

  expect(recorded).toEqual([]);
});

test('an erased customer is told nothing, and that is no error', async () => {
  const { sent, recorded, keys, process } = world();
  const tell = process();

  await tell({}, { ...anna, email: '', name: '' });
  // The view still has the address, and the key is gone.
  keys.clear();
  await tell();

  expect([sent, recorded]).toEqual([[], []]);
});

test('an order that there is not, or an address that is none, can never be told', async () => {
  const { process } = world();
  const tell = process();

  await expect(tell({}, null)).rejects.toThrow(PermanentError);
  await expect(tell({}, { ...anna, email: 'anna@example.com>, <eve@example.com' })).rejects.toThrow(PermanentError);
});

test('what is older than the record of e-mails is looked up in what outlives it', async () => {
  const { sent, viewed, process } = world();
  viewed.add('old-1').add('young-1');

  await process()({ id: 'old-1', time: hoursAgo(30) });
  expect(sent).toHaveLength(0);

  // Never sent, as after a replay by an operator.
  await process()({ id: 'old-2', time: hoursAgo(30) });
  expect(sent).toHaveLength(1);

  // What is younger is in the record, or was not sent.
  await process()({ id: 'young-1', time: hoursAgo(1) });
  expect(sent).toHaveLength(2);
});

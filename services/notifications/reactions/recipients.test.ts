import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import type { Position } from '#gen/causeway/events/v1/position_pb.js';
import { OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { CallError, UnavailableError } from '#kit/errors.ts';
import type { RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import { Recipients } from './recipients.ts';

const orderId = 'order-1';
const anyTime = () => new AbortController().signal;
const event = (sequence: number) => ({ key: orderId, partition: 5, sequence }) as RecordedEvent;

/** A view that comes to a position only when it is let. */
function openRecipients({ last = 0 } = {}) {
  const asked: Position[] = [];
  const { promise: caughtUp, resolve, reject } = Promise.withResolvers<void>();
  const view = {
    reached: async (positions: Position[]) => {
      asked.push(...positions);
      await caughtUp;
      return { find: async () => ({ customerId: 'anna' }) };
    },
  };
  const journal = {
    declaration: journalOf('orders'),
    stream: 'ORDERS',
    lastOnLeader: async () => (last === 0 ? undefined : { sequence: last }),
  };
  const recipients = new Recipients(view as never, journal as never);
  return { recipients, asked, catchUp: resolve, fail: reject };
}

test("an event's recipient is found once the view has come as far as the event", async () => {
  const { recipients, asked, catchUp } = openRecipients();
  const found = recipients.of(event(42), anyTime());

  catchUp();

  expect(await found).toEqual({ customerId: 'anna' });
  expect(asked).toMatchObject([{ stream: 'ORDERS', partition: 5, sequence: 42n }]);
});

test('the recipient of a payment is found once the view has come as far as the order', async () => {
  const { recipients, asked, catchUp } = openRecipients({ last: 17 });
  const found = recipients.ofOrder(orderId, anyTime());

  catchUp();

  expect(await found).toEqual({ customerId: 'anna' });
  expect(asked).toMatchObject([{ stream: 'ORDERS', partition: 5, sequence: 17n }]);
});

test('there is no recipient of an order that there is not', async () => {
  expect(await openRecipients().recipients.ofOrder(orderId, anyTime())).toBeUndefined();
});

test('a view that is not so far yet is waited for, as long as it takes', async () => {
  const { recipients, fail } = openRecipients();

  fail(new CallError('DEADLINE_EXCEEDED', 'not yet'));

  await expect(recipients.of(event(42), anyTime())).rejects.toThrow(UnavailableError);
});

test('of an order that was placed just now nobody is asked', async () => {
  const { recipients, asked } = openRecipients();
  const data = create(OrderPlacedSchema, { orderId, customerId: 'bert', email: 'bert@example.com' });

  recipients.remember({ ...event(1), data } as never);

  expect(await recipients.of(event(2), anyTime())).toMatchObject({ customerId: 'bert' });
  expect(await recipients.ofOrder(orderId, anyTime())).toMatchObject({ email: 'bert@example.com' });
  expect(asked).toEqual([]);
});

import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import {
  DeliveryAttemptFailedSchema,
  DeliveryDroppedSchema,
  DeliveryRequestedSchema,
  DeliverySucceededSchema,
} from '#gen/causeway/webhooks/v1/events_pb.js';
import { DeliveryStatus } from '#gen/causeway/webhooks/v1/webhooks_service_pb.js';
import { type DeliveryDocument, deliveriesView, deliveryMessage } from './deliveries-view.ts';

type DeliveryEvent = Parameters<typeof deliveriesView.project>[1];

const said = { endpointId: 'endpoint', eventId: 'event', eventType: 'type', key: 'order' };
const requested = create(DeliveryRequestedSchema, { deliveryId: 'delivery', ...said, payload: '{}' });
const failed = create(DeliveryAttemptFailedSchema, { httpStatus: 503, error: 'no', durationMs: 7 });
const givenUp = create(DeliveryAttemptFailedSchema, { error: 'no answer', durationMs: 9, givenUp: true });
const succeeded = create(DeliverySucceededSchema, { httpStatus: 204, durationMs: 5 });
const dropped = create(DeliveryDroppedSchema, { reason: 'the endpoint is disabled' });

/** The delivery after these events, of which the n-th came at second n. */
function after(...events: DeliveryEvent['data'][]): DeliveryDocument | undefined {
  return events.reduce<DeliveryDocument | undefined>((delivery, data, index) => {
    const event = { data, time: new Date((index + 1) * 1_000) } as DeliveryEvent;
    return deliveriesView.project(delivery, event) ?? delivery;
  }, undefined);
}

const statusAfter = (...events: DeliveryEvent['data'][]) => after(...events)?.status;

test('a delivery is pending until it was made, given up or dropped', () => {
  expect(after(requested)).toEqual({
    ...said,
    status: DeliveryStatus.PENDING,
    attempts: [],
    droppedReason: '',
    createdAt: new Date(1_000),
  });
  expect(statusAfter(requested, failed)).toBe(DeliveryStatus.PENDING);
  expect(statusAfter(requested, failed, succeeded)).toBe(DeliveryStatus.DELIVERED);
  expect(statusAfter(requested, failed, givenUp)).toBe(DeliveryStatus.FAILED);
  expect(after(requested, dropped)).toMatchObject({
    status: DeliveryStatus.DROPPED,
    droppedReason: 'the endpoint is disabled',
  });
});

test('what was given up stays so while replays fail, and is made by one that works', () => {
  expect(statusAfter(requested, givenUp, failed)).toBe(DeliveryStatus.FAILED);
  expect(statusAfter(requested, givenUp, failed, succeeded)).toBe(DeliveryStatus.DELIVERED);
  expect(after(requested, dropped, succeeded)).toMatchObject({
    status: DeliveryStatus.DELIVERED,
    droppedReason: '',
  });
});

test('its latest attempts are shown, oldest first', () => {
  const attempts = after(requested, ...Array.from({ length: 30 }, () => failed), succeeded)?.attempts ?? [];
  expect(attempts).toHaveLength(20);
  expect(attempts[0]).toEqual({ at: new Date(13_000), httpStatus: 503, error: 'no', durationMs: 7 });
  expect(attempts.at(-1)).toEqual({ at: new Date(32_000), httpStatus: 204, error: '', durationMs: 5 });
});

test('what became of a delivery that was not asked for makes none', () => {
  for (const event of [failed, succeeded, dropped]) expect(after(event)).toBeUndefined();
});

test('the API shows all of it, and no payload', () => {
  const bookkeeping = { _id: 'delivery', applied: {}, revision: 1, partition: 0, generation: 1 };
  const document = { ...(after(requested, givenUp) as DeliveryDocument), ...bookkeeping };
  expect(deliveryMessage(document)).toMatchObject({
    deliveryId: 'delivery',
    ...said,
    status: DeliveryStatus.FAILED,
    attempts: [{ at: { seconds: 2n }, httpStatus: 0, error: 'no answer', durationMs: 9 }],
    createdAt: { seconds: 1n },
  });
});

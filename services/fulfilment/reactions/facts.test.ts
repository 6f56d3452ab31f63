import { create, type DescMessage, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { StockReservedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { FulfilmentResolutionRequestedSchema } from '#gen/causeway/operations/v1/events_pb.js';
import { OrderCancelledSchema, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import type { CommandRequest } from '#kit/decider.ts';
import { PermanentError } from '#kit/errors.ts';
import type { RecordedEvent } from '#kit/event.ts';
import type { FulfilmentCommand } from '../domain/fulfilment.ts';
import { allFacts, reactionTo } from './facts.ts';

const now = new Date('2026-11-24T12:00:00.000Z');
const patience = { stockDeadlineMs: 60_000, paymentDeadlineMs: 900_000, shipmentDeadlineMs: 86_400_000 };
const facts = allFacts(patience, () => now);

/** What is asked of the fulfilment when an event is heard. */
async function askedBy<Desc extends DescMessage>(type: Desc, data: MessageInitShape<Desc>) {
  const asked: CommandRequest<FulfilmentCommand>[] = [];
  const heard = facts.find((each) => each.facts.some((fact) => fact.type === type));
  if (heard === undefined) throw new Error(`nobody hears ${type.typeName}`);
  const reaction = reactionTo(heard, async (request) => asked.push(request));
  const event = { id: 'event-1', key: 'order-1', correlationId: 'correlation-1', data: create(type, data) as Message };
  await reaction.handle(event as unknown as RecordedEvent, { signal: new AbortController().signal, attempt: 1 });
  return asked[0];
}

test('what an event asks for is the same request whenever it is heard', async () => {
  const { command: _, ...request } = (await askedBy(OrderCancelledSchema, { reason: 'changed my mind' })) ?? {};
  expect(request).toEqual({
    key: 'order-1',
    creates: false,
    caller: 'fulfilment',
    requestId: 'event-1',
    content: Buffer.from('event-1'),
    correlationId: 'correlation-1',
    causationId: 'event-1',
    attempts: 1,
  });
});

test.each([
  { type: OrderPlacedSchema, asks: 'OrderPlaced', afterMs: 60_000, creates: true },
  { type: StockReservedSchema, asks: 'StockReserved', afterMs: 900_000, creates: false },
])('the deadline of what follows from $asks counts from when it is heard', async ({ type, asks, afterMs, creates }) => {
  const request = await askedBy(type as DescMessage, {});
  const deadline = timestampFromDate(new Date(now.getTime() + afterMs));
  expect(request).toMatchObject({ creates, command: { type: asks, orderId: 'order-1', deadline } });
});

test('a resolution that nobody knows is refused', async () => {
  await expect(askedBy(FulfilmentResolutionRequestedSchema, {})).rejects.toThrow(PermanentError);
});

import type { DescMessage, Message, MessageShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { StockRejectedSchema, StockReleasedSchema, StockReservedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { FulfilmentResolutionRequestedSchema, Resolution } from '#gen/causeway/operations/v1/events_pb.js';
import {
  type Address,
  OrderCancelledSchema,
  OrderConfirmedSchema,
  type OrderPlaced,
  OrderPlacedSchema,
  OrderShippedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import {
  PaymentCapturedSchema,
  PaymentCaptureRefusedSchema,
  PaymentDeclinedSchema,
  PaymentVoidedSchema,
  PaymentVoidRefusedSchema,
} from '#gen/causeway/payments/v1/events_pb.js';
import { ShipmentCancelledSchema } from '#gen/causeway/shipping/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest } from '#kit/decider.ts';
import { PermanentError } from '#kit/errors.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { EventSource } from '#kit/view.ts';
import type { FulfilmentCommand } from '../domain/fulfilment.ts';

/** How long an answer is waited for. */
export type Patience = { stockDeadlineMs: number; paymentDeadlineMs: number; shipmentDeadlineMs: number };

type WithoutOrderId<Command> = Command extends unknown ? Omit<Command, 'orderId'> : never;
type Meaning = WithoutOrderId<FulfilmentCommand>;

/** An event of another service, and the command that it is here. */
type Fact = { type: DescMessage; means(data: Message): Meaning };

/** What is heard of one journal, by one consumer. */
export type Facts = { name: string; source: EventSource; facts: readonly Fact[] };

/** All that fulfilment hears: which event means what. The deadline of what is asked next counts from now on. */
export function allFacts(patience: Patience, clock: () => Date): Facts[] {
  const { stockDeadlineMs, paymentDeadlineMs, shipmentDeadlineMs } = patience;
  const within = (durationMs: number) => timestampFromDate(new Date(clock().getTime() + durationMs));
  return [
    heard('follow-order', 'orders', 'order', [
      fact(OrderPlacedSchema, (placed) => ({ ...orderIn(placed), deadline: within(stockDeadlineMs) })),
      fact(OrderConfirmedSchema, () => ({ type: 'OrderConfirmed', deadline: within(shipmentDeadlineMs) })),
      fact(OrderShippedSchema, () => ({ type: 'OrderShipped' })),
      fact(OrderCancelledSchema, ({ reason }) => ({ type: 'OrderCancelled', reason })),
    ]),
    heard('follow-stock', 'inventory', 'reservation', [
      fact(StockReservedSchema, () => ({ type: 'StockReserved', deadline: within(paymentDeadlineMs) })),
      fact(StockRejectedSchema, ({ missing }) => ({
        type: 'StockRejected',
        missingSkus: missing.map(({ sku }) => sku),
      })),
      fact(StockReleasedSchema, () => ({ type: 'StockReleased' })),
    ]),
    heard('follow-payment', 'payments', 'payment', [
      fact(PaymentDeclinedSchema, ({ reason }) => ({ type: 'PaymentDeclined', reason })),
      fact(PaymentCapturedSchema, () => ({ type: 'PaymentCaptured' })),
      fact(PaymentCaptureRefusedSchema, ({ reason }) => ({ type: 'PaymentCaptureRefused', reason })),
      fact(PaymentVoidedSchema, () => ({ type: 'PaymentVoided' })),
      fact(PaymentVoidRefusedSchema, ({ reason }) => ({ type: 'PaymentVoidRefused', reason })),
    ]),
    heard('follow-shipment', 'shipping', 'shipment', [
      fact(ShipmentCancelledSchema, () => ({ type: 'ShipmentCancelled' })),
    ]),
    heard('follow-operator', 'operations', 'fulfilment', [
      fact(FulfilmentResolutionRequestedSchema, ({ resolution }) => ({
        type: 'Resolve',
        resolution: resolutionOf(resolution),
      })),
    ]),
  ];
}

/** Sends each fact to the fulfilment of its order. The same event again has no second effect. */
export function reactionTo(
  { name, source, facts }: Facts,
  handle: (request: CommandRequest<FulfilmentCommand>) => Promise<unknown>,
): Reaction {
  const meanings = new Map(facts.map(({ type, means }) => [type.typeName, means]));
  return {
    name,
    sources: [source],
    begins: 'with-the-first-event',
    types: new EventTypes(facts.map(({ type }) => type)),
    async handle(event) {
      const meaning = meanings.get(event.data.$typeName)?.(event.data);
      if (meaning === undefined) return;
      const command = { ...meaning, orderId: event.key } as FulfilmentCommand;
      const creates = command.type === 'OrderPlaced';
      await handle({ key: event.key, command, creates, ...causedBy(event, 'fulfilment') });
    },
  };
}

function heard(name: string, service: string, aggregate: string, facts: readonly Fact[]): Facts {
  return { name, source: { journal: journalOf(service), aggregate }, facts };
}

function fact<Desc extends DescMessage>(type: Desc, means: (data: MessageShape<Desc>) => Meaning): Fact {
  return { type, means: (data) => means(data as MessageShape<Desc>) };
}

function orderIn({ customerId, lines, total, paymentMethod, shipTo }: OrderPlaced) {
  const { currencyCode = '', units = 0n, nanos = 0 } = total ?? {};
  return {
    type: 'OrderPlaced' as const,
    customerId,
    lines: lines.map(({ sku, quantity }) => ({ sku, quantity })),
    amount: { currencyCode, units, nanos },
    paymentMethod,
    shipTo: shipTo && addressIn(shipTo),
  };
}

function addressIn({ name, line1, line2, city, postalCode, countryCode }: Address) {
  return { name, line1, line2, city, postalCode, countryCode };
}

function resolutionOf(resolution: Resolution): 'RETRY' | 'SETTLED' {
  switch (resolution) {
    case Resolution.RETRY:
      return 'RETRY';
    case Resolution.SETTLED:
      return 'SETTLED';
    case Resolution.UNSPECIFIED:
      throw new PermanentError('an operator settles a fulfilment in one of the ways there are');
    default:
      return resolution satisfies never;
  }
}

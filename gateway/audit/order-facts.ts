import type { Message } from '@bufbuild/protobuf';
import type * as fulfilment from '#gen/causeway/fulfilment/v1/events_pb.js';
import type * as inventory from '#gen/causeway/inventory/v1/events_pb.js';
import { EmailKind } from '#gen/causeway/notifications/v1/email_kind_pb.js';
import type * as notifications from '#gen/causeway/notifications/v1/events_pb.js';
import { type FulfilmentResolutionRequested, Resolution } from '#gen/causeway/operations/v1/events_pb.js';
import type * as orders from '#gen/causeway/orders/v1/events_pb.js';
import type * as payments from '#gen/causeway/payments/v1/events_pb.js';
import type * as published from '#gen/causeway/public/v1/events_pb.js';
import type * as shipping from '#gen/causeway/shipping/v1/events_pb.js';
import type { Money } from '#gen/google/type/money_pb.js';
import type { RecordedEvent } from '#kit/event.ts';

/** Pieces by sku. */
export type Pieces = Map<string, number>;

/** What the journals say of one order, whoever said it. Amounts are in nanos of the order's currency. */
export type OrderFacts = {
  placed: number;
  confirmed: number;
  shipped: number;
  completed: number;
  cancelled: number;
  /** When these happened. */
  at: Partial<Record<'confirmed' | 'shipped' | 'completed' | 'cancelled', Date>>;
  total: bigint;
  /** Of its customer's data. */
  keyId: string;
  /** The customer was erased since: nobody is told any more. */
  isErased: boolean;
  /** The latest event of its fulfilment, and why it failed or needs attention. */
  fulfilment: string;
  fulfilmentReason: string;
  reserved: Pieces | undefined;
  rejected: boolean;
  released: Pieces | undefined;
  committed: Pieces | undefined;
  authorised: bigint;
  captured: bigint;
  voided: bigint;
  isVoided: boolean;
  refunded: bigint;
  dispatched: boolean;
  /** An operator has settled outside the platform what was refused inside: the journals don't say all of it. */
  isSettledOutside: boolean;
  /** What each e-mail was about, as often as it was sent. */
  emails: string[];
  publishedCompleted: number;
  publishedCancelled: number;
  eventIds: Set<string>;
  /** How often each type of event was said. */
  said: Map<string, number>;
};

type EventData =
  | orders.OrderPlaced
  | orders.OrderConfirmed
  | orders.OrderShipped
  | orders.OrderCompleted
  | orders.OrderCancelled
  | fulfilment.FulfilmentFailed
  | fulfilment.FulfilmentNeedsAttention
  | inventory.StockReserved
  | inventory.StockRejected
  | inventory.StockReleased
  | inventory.StockCommitted
  | payments.PaymentAuthorized
  | payments.PaymentCaptured
  | payments.PaymentVoided
  | payments.PaymentRefunded
  | shipping.ShipmentDispatched
  | notifications.EmailSent
  | FulfilmentResolutionRequested
  | published.OrderCompleted
  | published.OrderCancelled;

const nothing: Omit<OrderFacts, 'at' | 'emails' | 'eventIds' | 'said'> = {
  placed: 0,
  confirmed: 0,
  shipped: 0,
  completed: 0,
  cancelled: 0,
  total: 0n,
  keyId: '',
  isErased: false,
  fulfilment: '',
  fulfilmentReason: '',
  reserved: undefined,
  rejected: false,
  released: undefined,
  committed: undefined,
  authorised: 0n,
  captured: 0n,
  voided: 0n,
  isVoided: false,
  refunded: 0n,
  dispatched: false,
  isSettledOutside: false,
  publishedCompleted: 0,
  publishedCancelled: 0,
};

export function noFacts(): OrderFacts {
  return { ...nothing, at: {}, emails: [], eventIds: new Set(), said: new Map() };
}

/** Adds what an event says to what is known of its order. */
export function learn(facts: OrderFacts, event: RecordedEvent): void {
  facts.eventIds.add(event.id);
  addTo(facts.said, event.type, 1);
  if (event.stream === 'FULFILMENT') facts.fulfilment = event.type.split('.').at(-1) ?? '';
  const data = event.data as Message as EventData;
  switch (data.$typeName) {
    case 'causeway.orders.v1.OrderPlaced':
      facts.placed++;
      facts.total = nanosOf(data.total);
      facts.keyId = event.keyId;
      break;
    case 'causeway.orders.v1.OrderConfirmed':
      facts.confirmed++;
      facts.at.confirmed = event.time;
      break;
    case 'causeway.orders.v1.OrderShipped':
      facts.shipped++;
      facts.at.shipped = event.time;
      break;
    case 'causeway.orders.v1.OrderCompleted':
      facts.completed++;
      facts.at.completed = event.time;
      break;
    case 'causeway.orders.v1.OrderCancelled':
      facts.cancelled++;
      facts.at.cancelled = event.time;
      break;
    case 'causeway.fulfilment.v1.FulfilmentFailed':
      facts.fulfilmentReason = data.reason;
      break;
    case 'causeway.fulfilment.v1.FulfilmentNeedsAttention':
      facts.fulfilmentReason = data.problem;
      break;
    case 'causeway.inventory.v1.StockReserved':
      facts.reserved = piecesOf(data.lines);
      break;
    case 'causeway.inventory.v1.StockRejected':
      facts.rejected = true;
      break;
    case 'causeway.inventory.v1.StockReleased':
      facts.released = piecesOf(data.lines);
      break;
    case 'causeway.inventory.v1.StockCommitted':
      facts.committed = piecesOf(data.lines);
      break;
    case 'causeway.payments.v1.PaymentAuthorized':
      facts.authorised += nanosOf(data.amount);
      break;
    case 'causeway.payments.v1.PaymentCaptured':
      facts.captured += nanosOf(data.amount);
      break;
    case 'causeway.payments.v1.PaymentVoided':
      facts.voided += nanosOf(data.amount);
      facts.isVoided = true;
      break;
    case 'causeway.payments.v1.PaymentRefunded':
      facts.refunded += nanosOf(data.amount);
      break;
    case 'causeway.shipping.v1.ShipmentDispatched':
      facts.dispatched = true;
      break;
    case 'causeway.notifications.v1.EmailSent':
      facts.emails.push(`${EmailKind[data.kind]} ${data.causeId}`);
      break;
    case 'causeway.operations.v1.FulfilmentResolutionRequested':
      facts.isSettledOutside ||= data.resolution === Resolution.SETTLED;
      break;
    case 'causeway.public.v1.OrderCompleted':
      facts.publishedCompleted++;
      break;
    case 'causeway.public.v1.OrderCancelled':
      facts.publishedCancelled++;
      break;
    // What other events say is not needed here.
    default:
      data satisfies never;
  }
}

function nanosOf(money: Money | undefined): bigint {
  return money === undefined ? 0n : money.units * 1_000_000_000n + BigInt(money.nanos);
}

function piecesOf(lines: readonly { sku: string; quantity: number }[]): Pieces {
  const pieces: Pieces = new Map();
  for (const { sku, quantity } of lines) addTo(pieces, sku, quantity);
  return pieces;
}

export function addTo(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count);
}

import type { Decider, Refusal } from '#kit/decider.ts';

export type Money = { currencyCode: string; units: bigint; nanos: number };

export type OrderLine = { sku: string; name: string; quantity: number; unitPrice: Money };

export type Address = {
  name: string;
  line1: string;
  line2: string;
  city: string;
  postalCode: string;
  countryCode: string;
};

export type OrderPlaced = {
  type: 'OrderPlaced';
  orderId: string;
  customerId: string;
  lines: OrderLine[];
  total: Money;
  paymentMethod: string;
  email: string;
  shipTo: Address;
};

export type OrderEvent =
  | OrderPlaced
  | { type: 'OrderConfirmed'; orderId: string }
  | { type: 'OrderShipped'; orderId: string; trackingNumber: string }
  | { type: 'OrderCompleted'; orderId: string; customerId: string; total: Money }
  | { type: 'OrderCancelled'; orderId: string; reason: string; customerId: string; total: Money }
  | { type: 'RequestIdUsed'; orderId: string; usedForOrderId: string };

export type PlaceOrder = Omit<OrderPlaced, 'type' | 'total'> & { type: 'PlaceOrder' };

/**
 * Customers (their own orders) and operators may cancel until the order is confirmed, a failed fulfilment until it
 * is shipped.
 */
export type CancelOrder = {
  type: 'CancelOrder';
  orderId: string;
  reason: string;
  asked: { by: 'customer'; customerId: string } | { by: 'operator' } | { by: 'fulfilment' };
};

export type OrderCommand =
  | PlaceOrder
  | CancelOrder
  | { type: 'ConfirmOrder'; orderId: string }
  | { type: 'ShipOrder'; orderId: string; trackingNumber: string }
  | { type: 'CompleteOrder'; orderId: string }
  | UseRequestId;

/**
 * Takes a customer's request id for a request about another order than the one whose id would be made from it. Asked of
 * that one, so that a request id is used once only, whichever way.
 */
type UseRequestId = { type: 'UseRequestId'; orderId: string; usedForOrderId: string };

export type Order =
  | { status: 'None' }
  | { status: 'Placed' | 'Confirmed' | 'Shipped' | 'Completed'; customerId: string; total: Money }
  | { status: 'Cancelled'; customerId: string; total: Money; reason: string }
  | { status: 'Taken'; usedForOrderId: string };

export const order: Decider<OrderCommand, Order, OrderEvent> = {
  initialState: { status: 'None' },

  decide(command, state) {
    switch (command.type) {
      case 'PlaceOrder':
        return place(command, state);
      case 'ConfirmOrder':
        return confirm(command.orderId, state);
      case 'ShipOrder':
        return ship(command, state);
      case 'CompleteOrder':
        return complete(command.orderId, state);
      case 'CancelOrder':
        return cancel(command, state);
      case 'UseRequestId':
        return useRequestId(command, state);
      default:
        return command satisfies never;
    }
  },

  evolve(state, event) {
    if (event.type === 'OrderPlaced') {
      return { status: 'Placed', customerId: event.customerId, total: event.total };
    }
    if (event.type === 'RequestIdUsed') return { status: 'Taken', usedForOrderId: event.usedForOrderId };
    if (state.status === 'None' || state.status === 'Taken') return state;
    const { customerId, total } = state;
    switch (event.type) {
      case 'OrderConfirmed':
        return { status: 'Confirmed', customerId, total };
      case 'OrderShipped':
        return { status: 'Shipped', customerId, total };
      case 'OrderCompleted':
        return { status: 'Completed', customerId, total };
      case 'OrderCancelled':
        return { status: 'Cancelled', customerId, total, reason: event.reason };
      default:
        return event satisfies never;
    }
  },
};

function place({ type: _, ...details }: PlaceOrder, state: Order): OrderEvent | Refusal {
  if (state.status === 'Taken') return taken(state.usedForOrderId);
  if (state.status !== 'None') {
    return { refused: 'ALREADY_EXISTS', reason: 'ORDER_EXISTS', message: `order ${details.orderId} exists already` };
  }
  const currencies = new Set(details.lines.map(({ unitPrice }) => unitPrice.currencyCode));
  if (currencies.size > 1) {
    return {
      refused: 'INVALID_ARGUMENT',
      reason: 'MIXED_CURRENCIES',
      message: `all lines of an order have one currency, not ${[...currencies].join(' and ')}`,
      field: 'lines',
    };
  }
  return { type: 'OrderPlaced', ...details, total: totalOf(details.lines) };
}

function confirm(orderId: string, state: Order): OrderEvent | Refusal | undefined {
  switch (state.status) {
    case 'Placed':
      return { type: 'OrderConfirmed', orderId };
    case 'Confirmed':
    case 'Shipped':
    case 'Completed':
    // It was cancelled while its payment was asked for: whoever asked for that undoes it.
    case 'Cancelled':
      return undefined;
    default:
      return notPossible('confirmed', orderId, state);
  }
}

function ship({ orderId, trackingNumber }: { orderId: string; trackingNumber: string }, state: Order) {
  switch (state.status) {
    case 'Confirmed':
      return { type: 'OrderShipped', orderId, trackingNumber } as const;
    case 'Shipped':
    case 'Completed':
      return undefined;
    default:
      return notPossible('shipped', orderId, state);
  }
}

function complete(orderId: string, state: Order): OrderEvent | Refusal | undefined {
  switch (state.status) {
    case 'Shipped':
      return { type: 'OrderCompleted', orderId, customerId: state.customerId, total: state.total };
    case 'Completed':
      return undefined;
    default:
      return notPossible('completed', orderId, state);
  }
}

function cancel({ orderId, reason, asked }: CancelOrder, state: Order): OrderEvent | Refusal | undefined {
  if (state.status === 'None' || state.status === 'Taken') return unknown(orderId);
  const { customerId, total } = state;
  if (asked.by === 'customer' && customerId !== asked.customerId) return unknown(orderId);
  switch (state.status) {
    case 'Placed':
      return { type: 'OrderCancelled', orderId, reason, customerId, total };
    case 'Confirmed':
      return asked.by === 'fulfilment'
        ? { type: 'OrderCancelled', orderId, reason, customerId, total }
        : notPossible('cancelled', orderId, state);
    case 'Cancelled':
      return undefined;
    default:
      return notPossible('cancelled', orderId, state);
  }
}

function notPossible(what: string, orderId: string, { status }: Order): Refusal {
  if (status === 'None' || status === 'Taken') return unknown(orderId);
  return {
    refused: 'FAILED_PRECONDITION',
    reason: `ORDER_${status.toUpperCase()}`,
    message: `order ${orderId} is ${status.toLowerCase()} and can't be ${what}`,
  };
}

function useRequestId({ orderId, usedForOrderId }: UseRequestId, state: Order): OrderEvent | Refusal | undefined {
  if (state.status === 'None') return { type: 'RequestIdUsed', orderId, usedForOrderId };
  return state.status === 'Taken' && state.usedForOrderId === usedForOrderId
    ? undefined
    : taken(state.status === 'Taken' ? state.usedForOrderId : orderId);
}

function taken(orderId: string): Refusal {
  return {
    refused: 'ALREADY_EXISTS',
    reason: 'REQUEST_DIFFERS',
    message: `the request was made before, for order ${orderId}`,
  };
}

function unknown(orderId: string): Refusal {
  return { refused: 'NOT_FOUND', reason: 'ORDER_UNKNOWN', message: `there is no order ${orderId}` };
}

const NANOS = 1_000_000_000n;

/** Prices times quantities, exactly. */
function totalOf(lines: readonly OrderLine[]): Money {
  const nanos = lines.reduce(
    (sum, { unitPrice, quantity }) => sum + (unitPrice.units * NANOS + BigInt(unitPrice.nanos)) * BigInt(quantity),
    0n,
  );
  return { currencyCode: lines[0]?.unitPrice.currencyCode ?? '', units: nanos / NANOS, nanos: Number(nanos % NANOS) };
}

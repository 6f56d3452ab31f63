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
  | { type: 'OrderCompleted'; orderId: string }
  | { type: 'OrderCancelled'; orderId: string; reason: string };

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
  | { type: 'CompleteOrder'; orderId: string };

export type Order =
  | { status: 'None' }
  | { status: 'Placed' | 'Confirmed' | 'Shipped' | 'Completed'; customerId: string }
  | { status: 'Cancelled'; customerId: string; reason: string };

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
      default:
        return command satisfies never;
    }
  },

  evolve(state, event) {
    if (event.type === 'OrderPlaced') return { status: 'Placed', customerId: event.customerId };
    if (state.status === 'None') return state;
    const { customerId } = state;
    switch (event.type) {
      case 'OrderConfirmed':
        return { status: 'Confirmed', customerId };
      case 'OrderShipped':
        return { status: 'Shipped', customerId };
      case 'OrderCompleted':
        return { status: 'Completed', customerId };
      case 'OrderCancelled':
        return { status: 'Cancelled', customerId, reason: event.reason };
      default:
        return event satisfies never;
    }
  },
};

function place({ type: _, ...details }: PlaceOrder, state: Order): OrderEvent | Refusal {
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
      return { type: 'OrderCompleted', orderId };
    case 'Completed':
      return undefined;
    default:
      return notPossible('completed', orderId, state);
  }
}

function cancel({ orderId, reason, asked }: CancelOrder, state: Order): OrderEvent | Refusal | undefined {
  if (asked.by === 'customer' && (state.status === 'None' || state.customerId !== asked.customerId)) {
    return unknown(orderId);
  }
  switch (state.status) {
    case 'Placed':
      return { type: 'OrderCancelled', orderId, reason };
    case 'Confirmed':
      return asked.by === 'fulfilment'
        ? { type: 'OrderCancelled', orderId, reason }
        : notPossible('cancelled', orderId, state);
    case 'Cancelled':
      return undefined;
    default:
      return notPossible('cancelled', orderId, state);
  }
}

function notPossible(what: string, orderId: string, { status }: Order): Refusal {
  if (status === 'None')
    return { refused: 'NOT_FOUND', reason: 'ORDER_UNKNOWN', message: `there is no order ${orderId}` };
  return {
    refused: 'FAILED_PRECONDITION',
    reason: `ORDER_${status.toUpperCase()}`,
    message: `order ${orderId} is ${status.toLowerCase()} and can't be ${what}`,
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

import { describe, expect, test } from 'vitest';
import { given, type Then } from '#kit/testing/given.ts';
import { type CancelOrder, type Order, type OrderEvent, type OrderPlaced, order, type PlaceOrder } from './order.ts';

const orderId = '00000000-0000-4000-8000-000000000001';
const otherOrderId = '00000000-0000-4000-8000-000000000002';

const euros = (units: bigint, nanos = 0) => ({ currencyCode: 'EUR', units, nanos });

const details = {
  orderId,
  customerId: 'alice',
  lines: [
    { sku: 'coffee-beans', name: 'Coffee beans', quantity: 3, unitPrice: euros(12n, 500_000_000) },
    { sku: 'espresso-cup', name: 'Espresso cup', quantity: 2, unitPrice: euros(4n, 990_000_000) },
  ],
  paymentMethod: 'pm_ok',
  email: 'alice@example.com',
  shipTo: { name: 'Alice', line1: '1 Main St', line2: '', city: 'Cork', postalCode: 'T12', countryCode: 'IE' },
};

const total = euros(47n, 480_000_000);
const placed: OrderPlaced = { type: 'OrderPlaced', ...details, total };
const confirmed: OrderEvent = { type: 'OrderConfirmed', orderId };
const shipped: OrderEvent = { type: 'OrderShipped', orderId, trackingNumber: 'T-1' };
const completed: OrderEvent = { type: 'OrderCompleted', orderId, customerId: 'alice', total };
const cancelled: OrderEvent = {
  type: 'OrderCancelled',
  orderId,
  reason: 'changed my mind',
  customerId: 'alice',
  total,
};
const taken: OrderEvent = { type: 'RequestIdUsed', orderId, usedForOrderId: otherOrderId };

/** How an order comes into each state. */
const histories: Record<Order['status'], OrderEvent[]> = {
  None: [],
  Placed: [placed],
  Confirmed: [placed, confirmed],
  Shipped: [placed, confirmed, shipped],
  Completed: [placed, confirmed, shipped, completed],
  Cancelled: [placed, cancelled],
  Taken: [taken],
};

type Answer = (then: Then<OrderEvent>) => void;
type Answers = Record<Order['status'], Answer>;

const event =
  (expected: OrderEvent): Answer =>
  (then) =>
    then.thenEvent(expected);
const nothing: Answer = (then) => then.thenNothing();
const unknown: Answer = (then) => then.thenRefused('NOT_FOUND', 'ORDER_UNKNOWN');
const exists: Answer = (then) => then.thenRefused('ALREADY_EXISTS', 'ORDER_EXISTS');
const differs: Answer = (then) => then.thenRefused('ALREADY_EXISTS', 'REQUEST_DIFFERS');
const isAlready =
  (status: string): Answer =>
  (then) =>
    then.thenRefused('FAILED_PRECONDITION', `ORDER_${status}`);

const place: PlaceOrder = { type: 'PlaceOrder', ...details };
const cancel = (asked: CancelOrder['asked']): CancelOrder => ({
  type: 'CancelOrder',
  orderId,
  reason: 'changed my mind',
  asked,
});

const byItsCustomer: Answers = {
  None: unknown,
  Placed: event(cancelled),
  Confirmed: isAlready('CONFIRMED'),
  Shipped: isAlready('SHIPPED'),
  Completed: isAlready('COMPLETED'),
  Cancelled: nothing,
  Taken: unknown,
};

describe.each([
  {
    what: 'an order is placed once only',
    command: place,
    answers: {
      None: event(placed),
      Placed: exists,
      Confirmed: exists,
      Shipped: exists,
      Completed: exists,
      Cancelled: exists,
      Taken: differs,
    },
  },
  {
    what: 'a placed order is confirmed, once, if it was not cancelled meanwhile',
    command: { type: 'ConfirmOrder', orderId } as const,
    answers: {
      None: unknown,
      Placed: event(confirmed),
      Confirmed: nothing,
      Shipped: nothing,
      Completed: nothing,
      Cancelled: nothing,
      Taken: unknown,
    },
  },
  {
    what: 'a confirmed order is shipped, once',
    command: { type: 'ShipOrder', orderId, trackingNumber: 'T-1' } as const,
    answers: {
      None: unknown,
      Placed: isAlready('PLACED'),
      Confirmed: event(shipped),
      Shipped: nothing,
      Completed: nothing,
      Cancelled: isAlready('CANCELLED'),
      Taken: unknown,
    },
  },
  {
    what: 'a shipped order is completed, once',
    command: { type: 'CompleteOrder', orderId } as const,
    answers: {
      None: unknown,
      Placed: isAlready('PLACED'),
      Confirmed: isAlready('CONFIRMED'),
      Shipped: event(completed),
      Completed: nothing,
      Cancelled: isAlready('CANCELLED'),
      Taken: unknown,
    },
  },
  {
    what: 'its customer may cancel an order until it is confirmed',
    command: cancel({ by: 'customer', customerId: 'alice' }),
    answers: byItsCustomer,
  },
  {
    what: 'an operator may cancel an order until it is confirmed',
    command: cancel({ by: 'operator' }),
    answers: byItsCustomer,
  },
  {
    what: 'a failed fulfilment cancels an order until it is shipped',
    command: cancel({ by: 'fulfilment' }),
    answers: { ...byItsCustomer, Confirmed: event(cancelled) },
  },
  {
    what: 'another customer is not told that there is such an order',
    command: cancel({ by: 'customer', customerId: 'bob' }),
    answers: {
      None: unknown,
      Placed: unknown,
      Confirmed: unknown,
      Shipped: unknown,
      Completed: unknown,
      Cancelled: unknown,
      Taken: unknown,
    },
  },
  {
    what: 'a request id is used for one order only',
    command: { type: 'UseRequestId', orderId, usedForOrderId: otherOrderId } as const,
    answers: {
      None: event(taken),
      Placed: differs,
      Confirmed: differs,
      Shipped: differs,
      Completed: differs,
      Cancelled: differs,
      Taken: nothing,
    },
  },
  {
    what: 'a request id that is used for one order is not used for another',
    command: { type: 'UseRequestId', orderId, usedForOrderId: '00000000-0000-4000-8000-000000000003' } as const,
    answers: {
      None: event({ ...taken, usedForOrderId: '00000000-0000-4000-8000-000000000003' }),
      Placed: differs,
      Confirmed: differs,
      Shipped: differs,
      Completed: differs,
      Cancelled: differs,
      Taken: differs,
    },
  },
])('$what', ({ command, answers }) => {
  test.each(Object.entries(answers))('where it is %s', (status, answer) => {
    answer(given(order, ...histories[status as Order['status']]).when(command));
  });
});

test('an order has one currency', () => {
  const dollars = { ...euros(1n), currencyCode: 'USD' };
  const lines = [...details.lines, { sku: 'grinder', name: 'Grinder', quantity: 1, unitPrice: dollars }];

  given(order)
    .when({ ...place, lines })
    .thenRefused('INVALID_ARGUMENT', 'MIXED_CURRENCIES');
});

test('a total carries from nanos to units, exactly, however large it is', () => {
  const line = { sku: 'grinder', name: 'Grinder', quantity: 3, unitPrice: euros(9_007_199_254_740_993n, 999_999_999) };

  given(order)
    .when({ ...place, lines: [line] })
    .thenEvent({ ...placed, lines: [line], total: euros(27_021_597_764_222_981n, 999_999_997) });
});

test('an event of an order that was never placed makes no order', () => {
  for (const each of [confirmed, shipped, completed, cancelled]) {
    expect(order.evolve(order.initialState, each)).toEqual({ status: 'None' });
  }
});

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OrderStateSchema } from '#gen/causeway/orders/v1/state_pb.js';
import { orderAggregate } from '../adapters/order-aggregate.ts';
import { type Order, type OrderCommand, type OrderEvent, order } from './order.ts';

const orderId = '00000000-0000-4000-8000-000000000001';

const otherOrderIds = ['00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000003'];

const money = fc.record({
  currencyCode: fc.constantFrom('EUR', 'EUR', 'EUR', 'USD'),
  units: fc.bigInt({ min: 0n, max: 1_000_000_000n }),
  nanos: fc.integer({ min: 0, max: 999_999_999 }),
});

const line = fc.record({
  sku: fc.constantFrom('coffee-beans', 'grinder'),
  name: fc.string(),
  quantity: fc.integer({ min: 1, max: 10_000 }),
  unitPrice: money,
});

const customerId = fc.constantFrom('alice', 'bob');

/** By type, so that a command that is new and not in here is an error of the compiler. */
const commandsByType: { [Type in OrderCommand['type']]: fc.Arbitrary<Extract<OrderCommand, { type: Type }>> } = {
  PlaceOrder: fc.record({
    type: fc.constant('PlaceOrder' as const),
    orderId: fc.constant(orderId),
    customerId,
    lines: fc.array(line, { minLength: 1, maxLength: 4 }),
    paymentMethod: fc.constant('pm_ok'),
    email: fc.emailAddress(),
    shipTo: fc.constant({ name: 'A', line1: 'B', line2: '', city: 'C', postalCode: 'D', countryCode: 'IE' }),
  }),
  ConfirmOrder: fc.record({ type: fc.constant('ConfirmOrder' as const), orderId: fc.constant(orderId) }),
  ShipOrder: fc.record({
    type: fc.constant('ShipOrder' as const),
    orderId: fc.constant(orderId),
    trackingNumber: fc.string(),
  }),
  CompleteOrder: fc.record({ type: fc.constant('CompleteOrder' as const), orderId: fc.constant(orderId) }),
  CancelOrder: fc.record({
    type: fc.constant('CancelOrder' as const),
    orderId: fc.constant(orderId),
    reason: fc.string(),
    asked: fc.oneof(
      fc.record({ by: fc.constant('customer' as const), customerId }),
      fc.constant({ by: 'operator' as const }),
      fc.constant({ by: 'fulfilment' as const }),
    ),
  }),
  UseRequestId: fc.record({
    type: fc.constant('UseRequestId' as const),
    orderId: fc.constant(orderId),
    usedForOrderId: fc.constantFrom(...otherOrderIds),
  }),
};

const command: fc.Arbitrary<OrderCommand> = fc.oneof(...Object.values(commandsByType));

const commands = fc.array(command, { maxLength: 30 });

/** Runs commands as the service does: each decided on the state that the events before it made. */
function run(list: readonly OrderCommand[]): { state: Order; events: OrderEvent[]; path: Order['status'][] } {
  let state = order.initialState;
  const events: OrderEvent[] = [];
  const path: Order['status'][] = [state.status];
  for (const each of list) {
    const decided = order.decide(each, state);
    if (decided === undefined || 'refused' in decided) continue;
    state = order.evolve(state, decided);
    events.push(decided);
    path.push(state.status);
  }
  return { state, events, path };
}

const allowed = new Set([
  'None>Placed',
  'None>Taken',
  'Placed>Confirmed',
  'Placed>Cancelled',
  'Confirmed>Shipped',
  'Confirmed>Cancelled',
  'Shipped>Completed',
]);

test('an order goes only where it may, whatever is asked of it', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const { path } = run(list);
      for (let step = 1; step < path.length; step++) expect(allowed).toContain(`${path[step - 1]}>${path[step]}`);
    }),
    { numRuns: 2_000 },
  );
});

test('each way that an order may go is gone by what is asked here', () => {
  const gone = new Set(
    fc.sample(commands, { numRuns: 2_000, seed: 1 }).flatMap((list) => {
      const { path } = run(list);
      return path.slice(1).map((status, step) => `${path[step]}>${status}`);
    }),
  );
  expect(gone).toEqual(allowed);
});

test('replaying the events gives the state that the commands led to', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const { state, events } = run(list);
      expect(events.reduce(order.evolve, order.initialState)).toEqual(state);
    }),
    { numRuns: 2_000 },
  );
});

test('the state is the same after it was stored and read', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const { state } = run(list);
      const stored = toBinary(OrderStateSchema, create(OrderStateSchema, orderAggregate.state.encode(state)));
      expect(orderAggregate.state.decode(fromBinary(OrderStateSchema, stored))).toEqual(state);
    }),
    { numRuns: 2_000 },
  );
});

test('the same command again makes no second event', () => {
  fc.assert(
    fc.property(commands, command, (list, again) => {
      const { state } = run([...list, again]);
      const decided = order.decide(again, state);
      expect(decided === undefined || 'refused' in decided).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test('a customer never cancels what is confirmed, nor what is not theirs', () => {
  fc.assert(
    fc.property(commands, (list) => {
      let state = order.initialState;
      for (const each of list) {
        const decided = order.decide(each, state);
        if (decided === undefined || 'refused' in decided) continue;
        if (each.type === 'CancelOrder' && each.asked.by === 'customer') {
          expect(state).toMatchObject({ status: 'Placed', customerId: each.asked.customerId });
        }
        state = order.evolve(state, decided);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('the total is the exact sum of prices times quantities', () => {
  fc.assert(
    fc.property(command, (place) => {
      const decided = order.decide(place, order.initialState);
      if (decided === undefined || 'refused' in decided || decided.type !== 'OrderPlaced') return;
      const nanos = decided.lines.reduce(
        (sum, { quantity, unitPrice }) =>
          sum + BigInt(quantity) * (unitPrice.units * 1_000_000_000n + BigInt(unitPrice.nanos)),
        0n,
      );
      expect(decided.total.units * 1_000_000_000n + BigInt(decided.total.nanos)).toBe(nanos);
      expect(decided.total.nanos).toBeLessThan(1_000_000_000);
    }),
    { numRuns: 2_000 },
  );
});

import { describe, expect, test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type Cause, type Fulfilment, type FulfilmentCommand, type FulfilmentEvent, fulfilment } from './fulfilment.ts';

const orderId = '00000000-0000-4000-8000-000000000001';
const amount = { currencyCode: 'EUR', units: 25n, nanos: 500_000_000 };
const lines = [{ sku: 'coffee-beans', quantity: 2 }];
const shipTo = { name: 'Alice', line1: '1 Main St', line2: '', city: 'Cork', postalCode: 'T12', countryCode: 'IE' };
const at = (seconds: bigint, nanos = 0) => ({ seconds, nanos });
const [stockDeadline, paymentDeadline, shipmentDeadline] = [at(60n), at(900n), at(86_400n)];

const order = { customerId: 'alice', lines, amount, paymentMethod: 'pm_ok', shipTo };
const late: Cause = { reason: 'PAYMENT_DEADLINE', description: 'the payment was not authorised in time' };
const lateShipment: Cause = { reason: 'SHIPMENT_DEADLINE', description: 'the goods were not sent in time' };
const refusedShipment: Cause = { reason: 'SHIPMENT_REFUSED', description: 'the goods could not be sent' };

const stockRequested: FulfilmentEvent = { type: 'StockRequested', orderId, ...order, deadline: stockDeadline };
const paymentRequested: FulfilmentEvent = {
  type: 'PaymentRequested',
  orderId,
  customerId: 'alice',
  amount,
  paymentMethod: 'pm_ok',
  deadline: paymentDeadline,
};
const shipmentRequested: FulfilmentEvent = {
  type: 'ShipmentRequested',
  orderId,
  customerId: 'alice',
  lines,
  shipTo,
  deadline: shipmentDeadline,
};
const captureRequested: FulfilmentEvent = { type: 'CaptureRequested', orderId, amount };
const completed: FulfilmentEvent = { type: 'FulfilmentCompleted', orderId };
const shipmentCancelRequested = (cause: Cause): FulfilmentEvent => ({
  type: 'ShipmentCancelRequested',
  orderId,
  ...cause,
});
const voidRequested = (cause: Cause): FulfilmentEvent => ({
  type: 'PaymentVoidRequested',
  orderId,
  customerId: 'alice',
  ...cause,
});
const releaseRequested = (cause: Cause): FulfilmentEvent => ({ type: 'StockReleaseRequested', orderId, ...cause });
const failed = (cause: Cause): FulfilmentEvent => ({ type: 'FulfilmentFailed', orderId, ...cause });
const needsAttention = (problem: 'CAPTURE_REFUSED' | 'VOID_REFUSED', ...tried: string[]): FulfilmentEvent => ({
  type: 'FulfilmentNeedsAttention',
  orderId,
  problem,
  tried,
});

const dispatching = [stockRequested, paymentRequested, shipmentRequested];
const voiding = [stockRequested, paymentRequested, voidRequested(late)];

/** How a fulfilment comes into each state. */
const histories: Record<Fulfilment['status'], FulfilmentEvent[]> = {
  None: [],
  WaitingForStock: [stockRequested],
  WaitingForPayment: [stockRequested, paymentRequested],
  WaitingForShipment: dispatching,
  WaitingForCapture: [...dispatching, captureRequested],
  Completed: [...dispatching, captureRequested, completed],
  UndoingShipment: [...dispatching, shipmentCancelRequested(lateShipment)],
  UndoingPayment: voiding,
  UndoingStock: [...voiding, releaseRequested(late)],
  Failed: [...voiding, releaseRequested(late), failed(late)],
  CaptureRefused: [...dispatching, captureRequested, needsAttention('CAPTURE_REFUSED', 'capture refused: expired')],
  VoidRefused: [...voiding, needsAttention('VOID_REFUSED', 'void refused: unknown')],
};

const statuses = Object.keys(histories) as Fulfilment['status'][];
const cancelled: Cause = { reason: 'ORDER_CANCELLED', description: 'cancelled: changed my mind' };
const declined: Cause = { reason: 'PAYMENT_DECLINED', description: 'the payment was declined: card_declined' };
const soldOut: Cause = { reason: 'OUT_OF_STOCK', description: 'out of stock: coffee-beans' };
const lateStock: Cause = { reason: 'STOCK_DEADLINE', description: 'the goods were not reserved in time' };

/** The whole table: what each command does in which state. In all others there is nothing to do. */
const table: { command: FulfilmentCommand; events: Partial<Record<Fulfilment['status'], FulfilmentEvent>> }[] = [
  {
    command: { type: 'OrderPlaced', orderId, ...order, deadline: stockDeadline },
    events: { None: stockRequested },
  },
  {
    command: { type: 'StockReserved', orderId, deadline: paymentDeadline },
    events: { WaitingForStock: paymentRequested },
  },
  {
    command: { type: 'StockRejected', orderId, missingSkus: ['coffee-beans'] },
    events: { WaitingForStock: failed(soldOut), UndoingStock: failed(late) },
  },
  {
    command: { type: 'PaymentDeclined', orderId, reason: 'card_declined' },
    events: { WaitingForPayment: releaseRequested(declined), UndoingPayment: releaseRequested(late) },
  },
  {
    command: { type: 'OrderConfirmed', orderId, deadline: shipmentDeadline },
    events: { WaitingForPayment: shipmentRequested },
  },
  {
    command: { type: 'OrderShipped', orderId },
    events: { WaitingForShipment: captureRequested, UndoingShipment: captureRequested },
  },
  {
    command: { type: 'PaymentCaptured', orderId },
    events: { WaitingForCapture: completed, CaptureRefused: completed },
  },
  {
    command: { type: 'PaymentCaptureRefused', orderId, reason: 'expired' },
    events: { WaitingForCapture: needsAttention('CAPTURE_REFUSED', 'capture refused: expired') },
  },
  {
    command: { type: 'OrderCancelled', orderId, reason: 'changed my mind' },
    events: {
      WaitingForStock: releaseRequested(cancelled),
      WaitingForPayment: voidRequested(cancelled),
      WaitingForShipment: shipmentCancelRequested(cancelled),
    },
  },
  {
    command: { type: 'DeadlinePassed', orderId, now: at(1_000_000n) },
    events: {
      WaitingForStock: releaseRequested(lateStock),
      WaitingForPayment: voidRequested(late),
      WaitingForShipment: shipmentCancelRequested(lateShipment),
    },
  },
  {
    command: { type: 'DeadlinePassed', orderId, now: at(59n, 999_999_999) },
    events: {},
  },
  {
    command: { type: 'ShipmentCancelled', orderId },
    events: { UndoingShipment: voidRequested(lateShipment), WaitingForShipment: voidRequested(refusedShipment) },
  },
  {
    command: { type: 'PaymentVoided', orderId },
    events: { UndoingPayment: releaseRequested(late), VoidRefused: releaseRequested(late) },
  },
  {
    command: { type: 'PaymentVoidRefused', orderId, reason: 'unknown' },
    events: { UndoingPayment: needsAttention('VOID_REFUSED', 'void refused: unknown') },
  },
  {
    command: { type: 'StockReleased', orderId },
    events: { UndoingStock: failed(late) },
  },
  {
    command: { type: 'Resolve', orderId, resolution: 'RETRY' },
    events: { CaptureRefused: captureRequested, VoidRefused: voidRequested(late) },
  },
  {
    command: { type: 'Resolve', orderId, resolution: 'SETTLED' },
    events: { CaptureRefused: completed, VoidRefused: releaseRequested(late) },
  },
];

describe.each(table)('when $command.type', ({ command, events }) => {
  test.each(statuses)('given it is %s', (status) => {
    const decided = given(fulfilment, ...histories[status]).when(command);
    const event = events[status];
    if (event === undefined) decided.thenNothing();
    else decided.thenEvent(event);
  });
});

test.each(statuses)('the history of %s leads there', (status) => {
  expect(histories[status].reduce(fulfilment.evolve, fulfilment.initialState).status).toBe(status);
});

test.each([
  ['before it', at(59n, 999_999_999), false],
  ['a little before it', at(60n, 499_999_999), false],
  ['at it', at(60n, 500_000_000), true],
  ['after it', at(61n, 0), true],
])('a deadline has passed or not: %s', (_, now, hasPassed) => {
  const requested: FulfilmentEvent = { ...stockRequested, deadline: at(60n, 500_000_000) } as FulfilmentEvent;
  const decided = given(fulfilment, requested).when({ type: 'DeadlinePassed', orderId, now });
  if (hasPassed) decided.thenEvent(releaseRequested(lateStock));
  else decided.thenNothing();
});

test('what was refused and tried again is told whole, the latest last', () => {
  given(fulfilment, ...histories.CaptureRefused, captureRequested)
    .when({ type: 'PaymentCaptureRefused', orderId, reason: 'insufficient_funds' })
    .thenEvent(needsAttention('CAPTURE_REFUSED', 'capture refused: expired', 'capture refused: insufficient_funds'));
  given(fulfilment, ...histories.VoidRefused, voidRequested(late))
    .when({ type: 'PaymentVoidRefused', orderId, reason: 'still unknown' })
    .thenEvent(needsAttention('VOID_REFUSED', 'void refused: unknown', 'void refused: still unknown'));
});

test('what was tried is told in words that are bounded', () => {
  const many = Array.from({ length: 40 }, (_, count) => `capture refused: ${count}`);
  const decided = fulfilment.decide(
    { type: 'PaymentCaptureRefused', orderId, reason: 'é'.repeat(5_000) },
    { status: 'WaitingForCapture', customerId: 'alice', amount, tried: many },
  );
  const { tried } = decided as { tried: string[] };
  expect(tried).toHaveLength(10);
  expect(tried.at(-2)).toBe('capture refused: 39');
  expect(tried.at(-1)).toHaveLength(300);
});

test('a customer reads which items were out of stock, the first few by name', () => {
  const missingSkus = Array.from({ length: 100 }, (_, count) => `item-${count}`);
  given(fulfilment, stockRequested)
    .when({ type: 'StockRejected', orderId, missingSkus })
    .thenEvent(
      failed({
        reason: 'OUT_OF_STOCK',
        description: 'out of stock: item-0, item-1, item-2, item-3, item-4 and 95 more',
      }),
    );
});

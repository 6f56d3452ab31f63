import { describe, expect, test } from 'vitest';
import { noFacts, type OrderFacts } from './order-facts.ts';
import { problemsOf, waitsFor } from './order-rules.ts';

/** Nothing was forgotten. */
const always = { emails: new Date(0), published: new Date(0) };

const placed: OrderFacts = { ...noFacts(), placed: 1, total: 500n };

const completed: OrderFacts = {
  ...placed,
  confirmed: 1,
  shipped: 1,
  completed: 1,
  fulfilment: 'FulfilmentCompleted',
  reserved: new Map([['cup', 2]]),
  committed: new Map([['cup', 2]]),
  authorised: 500n,
  captured: 500n,
  dispatched: true,
  emails: ['ORDER_CONFIRMED a', 'ORDER_SHIPPED b'],
  publishedCompleted: 1,
};

const cancelled: OrderFacts = {
  ...placed,
  cancelled: 1,
  fulfilment: 'FulfilmentFailed',
  fulfilmentReason: 'PAYMENT_DEADLINE',
  reserved: new Map([['cup', 2]]),
  released: new Map([['cup', 2]]),
  authorised: 500n,
  voided: 500n,
  isVoided: true,
  emails: ['ORDER_CANCELLED a'],
  publishedCancelled: 1,
};

describe('an order as it must be', () => {
  test.each([
    ['completed', completed],
    ['cancelled, with all undone', cancelled],
    [
      'cancelled without anything to undo',
      { ...cancelled, reserved: undefined, released: undefined, authorised: 0n, voided: 0n },
    ],
    ['cancelled, with nothing to release', { ...cancelled, reserved: undefined, released: new Map(), rejected: true }],
    ['completed, with a capture that an operator settled', { ...completed, captured: 0n, isSettledOutside: true }],
    ['completed and refunded in part', { ...completed, refunded: 200n }],
    ['on its way', { ...placed, fulfilment: 'PaymentRequested', reserved: new Map([['cup', 2]]) }],
  ])('%s', (_, facts) => {
    expect(problemsOf(facts, always)).toEqual([]);
  });
});

describe('an order as it must not be', () => {
  test.each<[string, OrderFacts]>([
    ['is completed 2 times', { ...completed, completed: 2, publishedCompleted: 2 }],
    ['has events, and was never placed', { ...completed, placed: 0 }],
    ['is completed and cancelled', { ...completed, cancelled: 1 }],
    ['is completed, and was not confirmed or not shipped', { ...completed, confirmed: 0 }],
    ['is completed, and its fulfilment ends in CaptureRequested', { ...completed, fulfilment: 'CaptureRequested' }],
    ['is completed, and nothing was dispatched', { ...completed, dispatched: false }],
    ['is completed, and nothing was captured', { ...completed, captured: 0n }],
    ['is cancelled, and was dispatched', { ...cancelled, dispatched: true }],
    ['is cancelled, and its payment was captured', { ...cancelled, captured: 500n, voided: 0n }],
    ['is cancelled, and its goods left the stock', { ...cancelled, committed: new Map([['cup', 2]]) }],
    ['is not cancelled, and its fulfilment failed', { ...cancelled, cancelled: 0 }],
    ['is not completed, and its fulfilment is', { ...completed, completed: 0 }],
    ['has stock that was rejected and reserved', { ...completed, rejected: true }],
    ['has stock that was released and taken', { ...completed, released: new Map() }],
    ['took other pieces than were reserved', { ...completed, committed: new Map([['cup', 1]]) }],
    ['released other pieces than were reserved', { ...cancelled, released: new Map([['mug', 2]]) }],
    ['failed, and still holds stock', { ...cancelled, released: undefined }],
    ['is completed, and its goods are still in stock', { ...completed, committed: undefined }],
    ['has more authorised than it costs', { ...completed, authorised: 501n, captured: 501n }],
    ['has more captured and voided than authorised', { ...completed, voided: 1n }],
    ['has authorised what is neither captured nor voided', { ...cancelled, voided: 0n }],
    ['has more refunded than captured', { ...completed, refunded: 501n }],
    ['has the e-mail ORDER_SHIPPED b twice', { ...completed, emails: [...completed.emails, 'ORDER_SHIPPED b'] }],
    ['is completed, and an e-mail is missing', { ...completed, emails: ['ORDER_SHIPPED b'] }],
    ['is cancelled, and no e-mail says so', { ...cancelled, emails: [] }],
    [
      'has ShipmentDispatched 2 times',
      { ...completed, said: new Map([['causeway.shipping.v1.ShipmentDispatched', 2]]) },
    ],
    ['is completed 1 times, and published so 2 times', { ...completed, publishedCompleted: 2 }],
    ['is cancelled 1 times, and published so 0 times', { ...cancelled, publishedCancelled: 0 }],
  ])('%s', (problem, facts) => {
    expect(problemsOf(facts, always)).toContain(problem);
  });
});

test('nobody who was erased has to be told', () => {
  expect(problemsOf({ ...cancelled, emails: [], isErased: true }, always)).toEqual([]);
});

describe('of what is kept for a while only', () => {
  const [before, after] = [new Date(1_000), new Date(3_000)];
  const since = { emails: new Date(2_000), published: new Date(2_000) };
  const silent: OrderFacts = { ...completed, emails: [], publishedCompleted: 0 };

  test('nothing is missed of an order that ended before', () => {
    const at = { confirmed: before, shipped: before, completed: before };
    expect(problemsOf({ ...silent, at }, since)).toEqual([]);
    const undone = { ...cancelled, emails: [], publishedCancelled: 0, at: { cancelled: before } };
    expect(problemsOf(undone, since)).toEqual([]);
  });

  test('what must still be there is missed', () => {
    const at = { confirmed: before, shipped: after, completed: after };
    expect(problemsOf({ ...silent, at }, since)).toEqual([
      'is completed, and an e-mail is missing',
      'is completed 1 times, and published so 0 times',
    ]);
    expect(problemsOf({ ...silent, emails: ['ORDER_SHIPPED b'], at, publishedCompleted: 1 }, since)).toEqual([]);
    expect(problemsOf({ ...silent, at: { completed: before }, publishedCompleted: 2 }, since)).toContain(
      'is completed 1 times, and published so 2 times',
    );
  });
});

describe('what an order waits for', () => {
  test.each([
    ['its fulfilment to begin', placed],
    ['stock to be reserved', { ...placed, fulfilment: 'StockRequested' }],
    ['the payment to be authorised', { ...placed, fulfilment: 'PaymentRequested' }],
    ['the order to be confirmed', { ...placed, fulfilment: 'PaymentRequested', authorised: 500n }],
    ['the shipment to be dispatched', { ...placed, fulfilment: 'ShipmentRequested' }],
    ['the payment to be captured', { ...placed, fulfilment: 'CaptureRequested' }],
    ['the shipment to be cancelled', { ...placed, fulfilment: 'ShipmentCancelRequested' }],
    ['the payment to be voided', { ...placed, cancelled: 1, fulfilment: 'PaymentVoidRequested' }],
    ['stock to be released', { ...placed, fulfilment: 'StockReleaseRequested' }],
    [
      'an operator: CAPTURE_REFUSED',
      { ...placed, fulfilment: 'FulfilmentNeedsAttention', fulfilmentReason: 'CAPTURE_REFUSED' },
    ],
    ['the order to hear of the end of its fulfilment', { ...cancelled, cancelled: 0 }],
  ])('%s', (what, facts) => {
    expect(waitsFor(facts)).toBe(what);
  });

  test.each([
    ['completed', completed],
    ['cancelled', cancelled],
  ])('is nothing where it is %s', (_, facts) => {
    expect(waitsFor(facts)).toBeUndefined();
  });
});

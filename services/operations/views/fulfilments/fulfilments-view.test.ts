import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import {
  CaptureRequestedSchema,
  FulfilmentCompletedSchema,
  FulfilmentFailedSchema,
  FulfilmentNeedsAttentionSchema,
  PaymentRequestedSchema,
  PaymentVoidRequestedSchema,
  ShipmentCancelRequestedSchema,
  ShipmentRequestedSchema,
  StockReleaseRequestedSchema,
  StockRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import { FulfilmentResolutionRequestedSchema, Resolution } from '#gen/causeway/operations/v1/events_pb.js';
import { FulfilmentStatus } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { type FulfilmentDocument, fulfilmentMessage, fulfilmentsView, isKnown } from './fulfilments-view.ts';

type ViewEvent = Parameters<typeof fulfilmentsView.project>[1];

const orderId = 'order-1';
const at = (second: number) => new Date(second * 1_000);

/** The fulfilment after these events, of which the n-th was said at second n, or when it is told. */
function after(...events: (ViewEvent['data'] | { data: ViewEvent['data']; second: number })[]) {
  return events.reduce<FulfilmentDocument | undefined>((fulfilment, each, index) => {
    const { data, second } = 'data' in each ? each : { data: each, second: index + 1 };
    const event = { data, version: index + 1, time: at(second), actor: 'olga' } as ViewEvent;
    return fulfilmentsView.project(fulfilment, event) ?? fulfilment;
  }, undefined);
}

const deadline = timestampFromDate(at(60));
const stock = create(StockRequestedSchema, { orderId, deadline });
const payment = create(PaymentRequestedSchema, { orderId, deadline });
const shipment = create(ShipmentRequestedSchema, { orderId, deadline });
const capture = create(CaptureRequestedSchema, { orderId });
const completed = create(FulfilmentCompletedSchema, { orderId });
const reason = 'PAYMENT_DEADLINE';
const cancelShipment = create(ShipmentCancelRequestedSchema, { orderId, reason });
const voidPayment = create(PaymentVoidRequestedSchema, { orderId, reason });
const releaseStock = create(StockReleaseRequestedSchema, { orderId, reason });
const failed = create(FulfilmentFailedSchema, { orderId, reason, description: 'no answer in 15 minutes' });
const attention = create(FulfilmentNeedsAttentionSchema, { orderId, problem: 'CAPTURE_REFUSED', tried: ['a', 'b'] });
const retry = create(FulfilmentResolutionRequestedSchema, { orderId, resolution: Resolution.RETRY, note: 'again' });

test.each([
  [stock, { status: FulfilmentStatus.WAITING_FOR_STOCK, deadline: at(60), reason: '' }],
  [payment, { status: FulfilmentStatus.WAITING_FOR_PAYMENT, deadline: at(60), reason: '' }],
  [shipment, { status: FulfilmentStatus.WAITING_FOR_SHIPMENT, deadline: at(60), reason: '' }],
  [capture, { status: FulfilmentStatus.WAITING_FOR_CAPTURE, deadline: null, reason: '' }],
  [completed, { status: FulfilmentStatus.COMPLETED, deadline: null, reason: '' }],
  [cancelShipment, { status: FulfilmentStatus.UNDOING_SHIPMENT, deadline: null, reason }],
  [voidPayment, { status: FulfilmentStatus.UNDOING_PAYMENT, deadline: null, reason }],
  [releaseStock, { status: FulfilmentStatus.UNDOING_STOCK, deadline: null, reason }],
  [failed, { status: FulfilmentStatus.FAILED, deadline: null, reason }],
  [attention, { status: FulfilmentStatus.NEEDS_ATTENTION, deadline: null, reason: 'CAPTURE_REFUSED' }],
])('$0.$typeName says what is waited for, since when and until when', (event, expected) => {
  expect(after(stock, event)).toMatchObject({ ...expected, startedAt: at(1), since: at(2), version: 2 });
});

test('the steps are told in the order of their time, with what there is to be said', () => {
  const { steps } = after(stock, attention, retry, failed) ?? {};

  expect(steps?.map(({ type, note }) => [type.split('.').at(-1), note])).toEqual([
    ['StockRequested', ''],
    ['FulfilmentNeedsAttention', 'a; b'],
    ['FulfilmentResolutionRequested', 'RETRY by olga: again'],
    ['FulfilmentFailed', 'no answer in 15 minutes'],
  ]);
});

test('what an operator decided changes no status, and may be read before what it is about', () => {
  const inOrder = after({ data: stock, second: 1 }, { data: attention, second: 2 }, { data: retry, second: 3 });
  const early = after({ data: retry, second: 3 }, { data: stock, second: 1 }, { data: attention, second: 2 });

  expect({ ...early, version: 0 }).toEqual({ ...inOrder, version: 0 });
  expect(isKnown(after(retry) as never)).toBe(false);
  expect(isKnown(undefined)).toBe(false);
  expect(isKnown(early as never)).toBe(true);
});

test('it keeps the latest steps only', () => {
  const many = Array.from({ length: 120 }, () => attention);

  expect(after(...many)?.steps).toHaveLength(100);
  expect(after(...many)?.steps.at(-1)?.at).toEqual(at(120));
});

test('the API shows it as its document has it, without what is not known', () => {
  const document = after(stock, capture);
  if (document === undefined) throw new Error('there is no fulfilment');
  const stored = { ...document, _id: orderId, applied: {}, revision: 2, partition: 5, generation: 1 };

  const shown = fulfilmentMessage(stored);

  expect(shown).toMatchObject({
    orderId,
    status: FulfilmentStatus.WAITING_FOR_CAPTURE,
    startedAt: { seconds: 1n },
    since: { seconds: 2n },
    version: 2n,
    steps: [{ at: { seconds: 1n }, deadline: { seconds: 60n } }, { at: { seconds: 2n } }],
  });
  expect(shown.deadline).toBeUndefined();
});

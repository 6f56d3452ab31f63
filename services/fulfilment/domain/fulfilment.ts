import type { Decider } from '#kit/decider.ts';

type Money = { currencyCode: string; units: bigint; nanos: number };

/** As google.protobuf.Timestamp. */
type Instant = { seconds: bigint; nanos: number };

type Line = { sku: string; quantity: number };

type Address = {
  name: string;
  line1: string;
  line2: string;
  city: string;
  postalCode: string;
  countryCode: string;
};

/** Undefined once the customer was erased: shipping refuses what has no address. */
type ShipTo = Address | undefined;

/** Why an order is undone. `description` is read by its customer. */
export type Cause = {
  reason:
    | 'OUT_OF_STOCK'
    | 'PAYMENT_DECLINED'
    | 'STOCK_DEADLINE'
    | 'PAYMENT_DEADLINE'
    | 'SHIPMENT_DEADLINE'
    | 'SHIPMENT_REFUSED'
    | 'ORDER_CANCELLED';
  description: string;
};

export type FulfilmentEvent =
  | {
      type: 'StockRequested';
      orderId: string;
      lines: Line[];
      deadline: Instant;
      customerId: string;
      amount: Money;
      paymentMethod: string;
      shipTo: ShipTo;
    }
  | {
      type: 'PaymentRequested';
      orderId: string;
      customerId: string;
      amount: Money;
      paymentMethod: string;
      deadline: Instant;
    }
  | {
      type: 'ShipmentRequested';
      orderId: string;
      customerId: string;
      lines: Line[];
      shipTo: ShipTo;
      deadline: Instant;
    }
  | { type: 'CaptureRequested'; orderId: string; amount: Money }
  | { type: 'FulfilmentCompleted'; orderId: string }
  | ({ type: 'ShipmentCancelRequested'; orderId: string } & Cause)
  | ({ type: 'PaymentVoidRequested'; orderId: string; customerId: string } & Cause)
  | ({ type: 'StockReleaseRequested'; orderId: string } & Cause)
  | ({ type: 'FulfilmentFailed'; orderId: string } & Cause)
  | {
      type: 'FulfilmentNeedsAttention';
      orderId: string;
      problem: 'CAPTURE_REFUSED' | 'VOID_REFUSED';
      tried: string[];
    };

/** What other services said, or the clock. Each `deadline` is for the answer to what follows from it. */
export type FulfilmentCommand = { orderId: string } & (
  | {
      type: 'OrderPlaced';
      customerId: string;
      lines: Line[];
      amount: Money;
      paymentMethod: string;
      shipTo: ShipTo;
      deadline: Instant;
    }
  | { type: 'StockReserved'; deadline: Instant }
  | { type: 'StockRejected'; missingSkus: string[] }
  | { type: 'PaymentDeclined'; reason: string }
  | { type: 'OrderConfirmed'; deadline: Instant }
  | { type: 'OrderShipped' }
  | { type: 'PaymentCaptured' }
  | { type: 'PaymentCaptureRefused'; reason: string }
  | { type: 'OrderCancelled'; reason: string }
  | { type: 'DeadlinePassed'; now: Instant }
  | { type: 'ShipmentCancelled' }
  | { type: 'PaymentVoided' }
  | { type: 'PaymentVoidRefused'; reason: string }
  | { type: 'StockReleased' }
  | { type: 'Resolve'; resolution: 'RETRY' | 'SETTLED' }
);

type Begun = { customerId: string; amount: Money };

/** What it waits for, or how it ended. */
export type Fulfilment =
  | { status: 'None' }
  | (Begun &
      (
        | { status: 'WaitingForStock'; deadline: Instant; paymentMethod: string; lines: Line[]; shipTo: ShipTo }
        | { status: 'WaitingForPayment'; deadline: Instant; lines: Line[]; shipTo: ShipTo }
        | { status: 'WaitingForShipment'; deadline: Instant }
        | { status: 'WaitingForCapture'; tried: string[] }
        | { status: 'Completed' }
        | { status: 'UndoingShipment'; cause: Cause }
        | { status: 'UndoingPayment'; cause: Cause; tried: string[] }
        | { status: 'UndoingStock'; cause: Cause }
        | { status: 'Failed' }
        | { status: 'CaptureRefused'; tried: string[] }
        | { status: 'VoidRefused'; cause: Cause; tried: string[] }
      ));

/**
 * The order's way through the other services. Whatever they say may come twice, late, or when it does not matter any
 * more: then there is nothing to do. Nothing is ever refused.
 */
export const fulfilment: Decider<FulfilmentCommand, Fulfilment, FulfilmentEvent> = {
  initialState: { status: 'None' },
  decide: (command, state) => (state.status === 'None' ? begin(command) : goOn(command, state)),
  evolve: (state, event) => (state.status === 'None' ? begun(event) : evolved(state, event)),
};

type BegunFulfilment = Exclude<Fulfilment, { status: 'None' }>;

function begin(command: FulfilmentCommand): FulfilmentEvent | undefined {
  return command.type === 'OrderPlaced' ? { ...command, type: 'StockRequested' } : undefined;
}

function goOn(command: FulfilmentCommand, state: BegunFulfilment): FulfilmentEvent | undefined {
  switch (command.type) {
    case 'OrderPlaced':
      return undefined;
    case 'StockReserved':
      return requestPayment(command, state);
    case 'OrderConfirmed':
      return requestShipment(command, state);
    case 'OrderShipped':
      return requestCapture(command, state);
    case 'PaymentCaptured':
      return complete(command, state);
    case 'StockRejected':
      return stockRejected(command, state);
    case 'PaymentDeclined':
      return paymentDeclined(command, state);
    case 'OrderCancelled':
      return undo(command, state, { reason: 'ORDER_CANCELLED', description: `cancelled: ${command.reason}` });
    case 'DeadlinePassed':
      return deadlinePassed(command, state);
    case 'ShipmentCancelled':
      return shipmentCancelled(command, state);
    case 'PaymentVoided':
      return paymentVoided(command, state);
    case 'StockReleased':
      return stockReleased(command, state);
    case 'PaymentCaptureRefused':
      return captureRefused(command, state);
    case 'PaymentVoidRefused':
      return voidRefused(command, state);
    case 'Resolve':
      return resolve(command, state);
    default:
      return command satisfies never;
  }
}

type Command<Type extends FulfilmentCommand['type']> = Extract<FulfilmentCommand, { type: Type }>;

function requestPayment(
  { orderId, deadline }: Command<'StockReserved'>,
  state: BegunFulfilment,
): FulfilmentEvent | undefined {
  if (state.status !== 'WaitingForStock') return undefined;
  const { customerId, amount, paymentMethod } = state;
  return { type: 'PaymentRequested', orderId, customerId, amount, paymentMethod, deadline };
}

function requestShipment(
  { orderId, deadline }: Command<'OrderConfirmed'>,
  state: BegunFulfilment,
): FulfilmentEvent | undefined {
  if (state.status !== 'WaitingForPayment') return undefined;
  const { customerId, lines, shipTo } = state;
  return { type: 'ShipmentRequested', orderId, customerId, lines, shipTo, deadline };
}

/** What is on its way is paid for, also where it was to be called back and had left already. */
function requestCapture({ orderId }: Command<'OrderShipped'>, state: BegunFulfilment): FulfilmentEvent | undefined {
  return state.status === 'WaitingForShipment' || state.status === 'UndoingShipment'
    ? { type: 'CaptureRequested', orderId, amount: state.amount }
    : undefined;
}

function complete({ orderId }: Command<'PaymentCaptured'>, state: BegunFulfilment): FulfilmentEvent | undefined {
  return state.status === 'WaitingForCapture' || state.status === 'CaptureRefused'
    ? { type: 'FulfilmentCompleted', orderId }
    : undefined;
}

const NAMED_SKUS = 5;

function stockRejected(
  { orderId, missingSkus }: Command<'StockRejected'>,
  state: BegunFulfilment,
): FulfilmentEvent | undefined {
  if (state.status === 'UndoingStock') return { type: 'FulfilmentFailed', orderId, ...state.cause };
  if (state.status !== 'WaitingForStock') return undefined;
  const others = missingSkus.length - NAMED_SKUS;
  const named = missingSkus.slice(0, NAMED_SKUS).join(', ');
  const description = `out of stock: ${named}${others > 0 ? ` and ${others} more` : ''}`;
  return { type: 'FulfilmentFailed', orderId, reason: 'OUT_OF_STOCK', description };
}

/** Nothing is authorised, and nothing will be: there is nothing to void. */
function paymentDeclined(
  { orderId, reason }: Command<'PaymentDeclined'>,
  state: BegunFulfilment,
): FulfilmentEvent | undefined {
  if (state.status === 'UndoingPayment') return { type: 'StockReleaseRequested', orderId, ...state.cause };
  if (state.status !== 'WaitingForPayment') return undefined;
  const description = `the payment was declined: ${reason}`;
  return { type: 'StockReleaseRequested', orderId, reason: 'PAYMENT_DECLINED', description };
}

const deadlineCauses: Record<'WaitingForStock' | 'WaitingForPayment' | 'WaitingForShipment', Cause> = {
  WaitingForStock: { reason: 'STOCK_DEADLINE', description: 'the goods were not reserved in time' },
  WaitingForPayment: { reason: 'PAYMENT_DEADLINE', description: 'the payment was not authorised in time' },
  WaitingForShipment: { reason: 'SHIPMENT_DEADLINE', description: 'the goods were not sent in time' },
};

function deadlinePassed(command: Command<'DeadlinePassed'>, state: BegunFulfilment): FulfilmentEvent | undefined {
  if (!('deadline' in state) || isBefore(command.now, state.deadline)) return undefined;
  return undo(command, state, deadlineCauses[state.status]);
}

/** The first step back: of what was asked for latest. It may not have been done yet, and must not be done any more. */
function undo({ orderId }: FulfilmentCommand, state: BegunFulfilment, cause: Cause): FulfilmentEvent | undefined {
  switch (state.status) {
    case 'WaitingForStock':
      return { type: 'StockReleaseRequested', orderId, ...cause };
    case 'WaitingForPayment':
      return { type: 'PaymentVoidRequested', orderId, customerId: state.customerId, ...cause };
    case 'WaitingForShipment':
      return { type: 'ShipmentCancelRequested', orderId, ...cause };
    default:
      return undefined;
  }
}

const shipmentRefused: Cause = { reason: 'SHIPMENT_REFUSED', description: 'the goods could not be sent' };

/** Asked for, or by shipping itself: then it is a refusal, and there is nothing to call back. */
function shipmentCancelled(
  { orderId }: Command<'ShipmentCancelled'>,
  state: BegunFulfilment,
): FulfilmentEvent | undefined {
  if (state.status !== 'UndoingShipment' && state.status !== 'WaitingForShipment') return undefined;
  const cause = state.status === 'UndoingShipment' ? state.cause : shipmentRefused;
  return { type: 'PaymentVoidRequested', orderId, customerId: state.customerId, ...cause };
}

function paymentVoided({ orderId }: Command<'PaymentVoided'>, state: BegunFulfilment): FulfilmentEvent | undefined {
  return state.status === 'UndoingPayment' || state.status === 'VoidRefused'
    ? { type: 'StockReleaseRequested', orderId, ...state.cause }
    : undefined;
}

function stockReleased({ orderId }: Command<'StockReleased'>, state: BegunFulfilment): FulfilmentEvent | undefined {
  return state.status === 'UndoingStock' ? { type: 'FulfilmentFailed', orderId, ...state.cause } : undefined;
}

function captureRefused(
  { orderId, reason }: Command<'PaymentCaptureRefused'>,
  state: BegunFulfilment,
): FulfilmentEvent | undefined {
  if (state.status !== 'WaitingForCapture') return undefined;
  const tried = withLatest(state.tried, `capture refused: ${reason}`);
  return { type: 'FulfilmentNeedsAttention', orderId, problem: 'CAPTURE_REFUSED', tried };
}

function voidRefused(
  { orderId, reason }: Command<'PaymentVoidRefused'>,
  state: BegunFulfilment,
): FulfilmentEvent | undefined {
  if (state.status !== 'UndoingPayment') return undefined;
  const tried = withLatest(state.tried, `void refused: ${reason}`);
  return { type: 'FulfilmentNeedsAttention', orderId, problem: 'VOID_REFUSED', tried };
}

/** SETTLED: what was refused was done outside the platform, and the fulfilment goes on as if it had worked. */
function resolve({ orderId, resolution }: Command<'Resolve'>, state: BegunFulfilment): FulfilmentEvent | undefined {
  if (state.status === 'CaptureRefused') {
    return resolution === 'RETRY'
      ? { type: 'CaptureRequested', orderId, amount: state.amount }
      : { type: 'FulfilmentCompleted', orderId };
  }
  if (state.status === 'VoidRefused') {
    return resolution === 'RETRY'
      ? { type: 'PaymentVoidRequested', orderId, customerId: state.customerId, ...state.cause }
      : { type: 'StockReleaseRequested', orderId, ...state.cause };
  }
  return undefined;
}

const MAX_TRIED = 10;
const MAX_TRIED_LENGTH = 300;

function withLatest(tried: readonly string[], latest: string): string[] {
  return [...tried, latest.slice(0, MAX_TRIED_LENGTH).toWellFormed()].slice(-MAX_TRIED);
}

function isBefore(one: Instant, other: Instant): boolean {
  return one.seconds === other.seconds ? one.nanos < other.nanos : one.seconds < other.seconds;
}

function begun(event: FulfilmentEvent): Fulfilment {
  if (event.type !== 'StockRequested') return { status: 'None' };
  const { customerId, amount, deadline, paymentMethod, lines, shipTo } = event;
  return { status: 'WaitingForStock', customerId, amount, deadline, paymentMethod, lines, shipTo };
}

function evolved(state: BegunFulfilment, event: FulfilmentEvent): Fulfilment {
  const { customerId, amount } = state;
  const before = { customerId, amount };
  switch (event.type) {
    case 'StockRequested':
      return state;
    case 'PaymentRequested':
      if (state.status !== 'WaitingForStock') return state;
      return {
        ...before,
        status: 'WaitingForPayment',
        deadline: event.deadline,
        lines: state.lines,
        shipTo: state.shipTo,
      };
    case 'ShipmentRequested':
      return { ...before, status: 'WaitingForShipment', deadline: event.deadline };
    case 'CaptureRequested':
      return { ...before, status: 'WaitingForCapture', tried: triedIn(state) };
    case 'FulfilmentCompleted':
      return { ...before, status: 'Completed' };
    case 'ShipmentCancelRequested':
      return { ...before, status: 'UndoingShipment', cause: causeIn(event) };
    case 'PaymentVoidRequested':
      return { ...before, status: 'UndoingPayment', cause: causeIn(event), tried: triedIn(state) };
    case 'StockReleaseRequested':
      return { ...before, status: 'UndoingStock', cause: causeIn(event) };
    case 'FulfilmentFailed':
      return { ...before, status: 'Failed' };
    case 'FulfilmentNeedsAttention':
      return needsAttention(state, event.tried);
    default:
      return event satisfies never;
  }
}

function needsAttention(state: BegunFulfilment, tried: string[]): Fulfilment {
  const { customerId, amount } = state;
  return state.status === 'UndoingPayment'
    ? { status: 'VoidRefused', customerId, amount, cause: state.cause, tried }
    : { status: 'CaptureRefused', customerId, amount, tried };
}

function triedIn(state: BegunFulfilment): string[] {
  return 'tried' in state ? state.tried : [];
}

function causeIn({ reason, description }: Cause): Cause {
  return { reason, description };
}

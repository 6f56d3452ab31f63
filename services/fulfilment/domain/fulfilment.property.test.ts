import { create, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FulfilmentStateSchema } from '#gen/causeway/fulfilment/v1/state_pb.js';
import { Resolution } from '#gen/causeway/operations/v1/events_pb.js';
import { fulfilmentAggregate } from '../adapters/fulfilment-aggregate.ts';
import { allFacts } from '../reactions/facts.ts';
import { aggregates, type OtherService, type Plan, type Said, World } from '../testing/world.ts';
import { type Fulfilment, type FulfilmentCommand, type FulfilmentEvent, fulfilment } from './fulfilment.ts';

const orderId = '00000000-0000-4000-8000-000000000001';
const amount = { currencyCode: 'EUR', units: 25n, nanos: 0 };
const lines = [{ sku: 'coffee-beans', quantity: 2 }];
const shipTo = { name: 'A', line1: 'B', line2: '', city: 'C', postalCode: 'D', countryCode: 'IE' };

const instant = fc.record({
  seconds: fc.bigInt({ min: 0n, max: 10n }),
  nanos: fc.integer({ min: 0, max: 999_999_999 }),
});
const reason = fc.string({ unit: 'binary', maxLength: 8 });
const id = { orderId: fc.constant(orderId) };

/** By type, so that a command that is new and not in here is an error of the compiler. */
const commandsByType: {
  [Type in FulfilmentCommand['type']]: fc.Arbitrary<Extract<FulfilmentCommand, { type: Type }>>;
} = {
  OrderPlaced: fc.record({
    type: fc.constant('OrderPlaced' as const),
    ...id,
    customerId: fc.constantFrom('alice', 'bob'),
    lines: fc.constant(lines),
    amount: fc.constant(amount),
    paymentMethod: fc.constant('pm_ok'),
    shipTo: fc.constant(shipTo),
    deadline: instant,
  }),
  StockReserved: fc.record({ type: fc.constant('StockReserved' as const), ...id, deadline: instant }),
  StockRejected: fc.record({
    type: fc.constant('StockRejected' as const),
    ...id,
    missingSkus: fc.array(fc.constantFrom('coffee-beans', 'grinder'), { maxLength: 8 }),
  }),
  PaymentDeclined: fc.record({ type: fc.constant('PaymentDeclined' as const), ...id, reason }),
  OrderConfirmed: fc.record({ type: fc.constant('OrderConfirmed' as const), ...id, deadline: instant }),
  OrderShipped: fc.record({ type: fc.constant('OrderShipped' as const), ...id }),
  PaymentCaptured: fc.record({ type: fc.constant('PaymentCaptured' as const), ...id }),
  PaymentCaptureRefused: fc.record({ type: fc.constant('PaymentCaptureRefused' as const), ...id, reason }),
  OrderCancelled: fc.record({ type: fc.constant('OrderCancelled' as const), ...id, reason }),
  DeadlinePassed: fc.record({ type: fc.constant('DeadlinePassed' as const), ...id, now: instant }),
  ShipmentCancelled: fc.record({ type: fc.constant('ShipmentCancelled' as const), ...id }),
  PaymentVoided: fc.record({ type: fc.constant('PaymentVoided' as const), ...id }),
  PaymentVoidRefused: fc.record({ type: fc.constant('PaymentVoidRefused' as const), ...id, reason }),
  StockReleased: fc.record({ type: fc.constant('StockReleased' as const), ...id }),
  Resolve: fc.record({
    type: fc.constant('Resolve' as const),
    ...id,
    resolution: fc.constantFrom('RETRY' as const, 'SETTLED' as const),
  }),
};

const command: fc.Arbitrary<FulfilmentCommand> = fc.oneof(...Object.values(commandsByType));
const placed = commandsByType.OrderPlaced;
const commands = fc
  .tuple(placed, fc.array(command, { maxLength: 60, size: 'max' }))
  .map(([first, others]): FulfilmentCommand[] => [first, ...others]);

/** Runs commands as the service does: each decided on the state that the events before it made. */
function run(list: readonly FulfilmentCommand[]) {
  let state: Fulfilment = fulfilment.initialState;
  const events: FulfilmentEvent[] = [];
  const path: Fulfilment['status'][] = [state.status];
  for (const each of list) {
    const decided = fulfilment.decide(each, state);
    if (decided === undefined) continue;
    if ('refused' in decided) throw new Error(`${each.type} was refused`);
    state = fulfilment.evolve(state, decided);
    events.push(decided);
    path.push(state.status);
  }
  return { state, events, path };
}

const allowed = new Set([
  'None>WaitingForStock',
  'WaitingForStock>WaitingForPayment',
  'WaitingForStock>UndoingStock',
  'WaitingForStock>Failed',
  'WaitingForPayment>WaitingForShipment',
  'WaitingForPayment>UndoingPayment',
  'WaitingForPayment>UndoingStock',
  'WaitingForShipment>WaitingForCapture',
  'WaitingForShipment>UndoingShipment',
  'WaitingForShipment>UndoingPayment',
  'WaitingForCapture>Completed',
  'WaitingForCapture>CaptureRefused',
  'CaptureRefused>WaitingForCapture',
  'CaptureRefused>Completed',
  'UndoingShipment>WaitingForCapture',
  'UndoingShipment>UndoingPayment',
  'UndoingPayment>UndoingStock',
  'UndoingPayment>VoidRefused',
  'VoidRefused>UndoingPayment',
  'VoidRefused>UndoingStock',
  'UndoingStock>Failed',
]);

test('a fulfilment goes only where it may, whatever it hears, and refuses nothing', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const { path } = run(list);
      for (let step = 1; step < path.length; step++) expect(allowed).toContain(`${path[step - 1]}>${path[step]}`);
    }),
    { numRuns: 1_000 },
  );
});

test('each way that a fulfilment may go is gone by what it hears here', () => {
  const gone = new Set(
    fc.sample(commands, { numRuns: 3_000, seed: 1 }).flatMap((list) => {
      const { path } = run(list);
      return path.slice(1).map((status, step) => `${path[step]}>${status}`);
    }),
  );
  expect([...gone].toSorted()).toEqual([...allowed].toSorted());
});

test('replaying the events gives the state that the commands led to', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const { state, events } = run(list);
      expect(events.reduce(fulfilment.evolve, fulfilment.initialState)).toEqual(state);
    }),
    { numRuns: 1_000 },
  );
});

test('the state is the same after it was stored and read', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const { state } = run(list);
      const message = create(FulfilmentStateSchema, fulfilmentAggregate.state.encode(state));
      const stored = toBinary(FulfilmentStateSchema, message);
      expect(fulfilmentAggregate.state.decode(fromBinary(FulfilmentStateSchema, stored))).toEqual(state);
    }),
    { numRuns: 1_000 },
  );
});

type Listener = OtherService | 'fulfilment';
type Journal = Listener;

/** Who hears which journals. */
const listening: Record<Listener, readonly Journal[]> = {
  fulfilment: ['orders', 'inventory', 'payments', 'shipping', 'operations'],
  orders: ['payments', 'shipping', 'fulfilment'],
  inventory: ['fulfilment', 'shipping'],
  payments: ['fulfilment'],
  shipping: ['fulfilment'],
  operations: [],
};

const ears = (Object.keys(listening) as Listener[]).flatMap((listener) =>
  listening[listener].map((journal) => ({ listener, journal })),
);

const patience = { stockDeadlineMs: 60_000, paymentDeadlineMs: 900_000, shipmentDeadlineMs: 86_400_000 };
const meanings = allFacts(patience, () => new Date(0)).flatMap(({ source, facts }) =>
  facts.map(({ type, means }) => ({ type: type.typeName, service: source.journal.service, means })),
);

/** All services around one order. Nobody hears anything before it is told to; each hears each journal in its order. */
class Play {
  readonly world: World;
  readonly events: FulfilmentEvent[] = [];
  #state: Fulfilment = fulfilment.initialState;
  readonly #journals: Record<Journal, Message[]> = {
    fulfilment: [],
    orders: [],
    inventory: [],
    payments: [],
    shipping: [],
    operations: [],
  };
  readonly #heard = new Map<string, number>();
  #settled = false;

  constructor(plan: Plan) {
    this.world = new World(orderId, plan);
    this.#say(this.world.place());
  }

  get status(): Fulfilment['status'] {
    return this.#state.status;
  }

  get isSettledByHand(): boolean {
    return this.#settled;
  }

  /** A listener hears the next event of a journal, or the one before it once more. Answers whether there was one. */
  deliver({ listener, journal }: { listener: Listener; journal: Journal }, again: boolean): boolean {
    const ear = `${listener} ${journal}`;
    const heard = this.#heard.get(ear) ?? 0;
    const data = this.#journals[journal][again ? heard - 1 : heard];
    if (data === undefined) return false;
    if (!again) this.#heard.set(ear, heard + 1);
    if (listener === 'fulfilment') this.#hear(journal as OtherService, data);
    else this.#say(this.world.hear(listener, data));
    return true;
  }

  answer(service: 'inventory' | 'payments' | 'shipping'): boolean {
    const said = this.world.answer(service);
    this.#say(said);
    return said.length > 0;
  }

  cancel(): void {
    this.#say(this.world.cancel());
  }

  /** By a clock that may be ahead: it comes as early as it likes. */
  passDeadline(): boolean {
    return this.#decide({ type: 'DeadlinePassed', orderId, now: { seconds: 1_000_000n, nanos: 0 } });
  }

  resolve(resolution: Resolution): void {
    if (this.status !== 'CaptureRefused' && this.status !== 'VoidRefused') return;
    if (resolution === Resolution.SETTLED) this.#settled = true;
    this.#say(this.world.resolve(resolution));
  }

  /** Until nobody has anything to hear or to answer any more. */
  settle(): void {
    for (let isMore = true; isMore; ) {
      isMore = ears.map((ear) => this.deliver(ear, false)).some(Boolean);
      for (const service of ['inventory', 'payments', 'shipping'] as const) isMore = this.answer(service) || isMore;
    }
  }

  #hear(service: OtherService, data: Message): void {
    const meaning = meanings.find((each) => each.type === data.$typeName && each.service === service);
    if (meaning !== undefined) this.#decide({ ...meaning.means(data), orderId } as FulfilmentCommand);
  }

  #decide(command: FulfilmentCommand): boolean {
    const decided = fulfilment.decide(command, this.#state);
    if (decided === undefined) return false;
    if ('refused' in decided) throw new Error(`${command.type} was refused`);
    this.#state = fulfilment.evolve(this.#state, decided);
    this.events.push(decided);
    const type = fulfilmentAggregate.events[decided.type];
    this.#journals.fulfilment.push(create(type, decided as unknown as Record<string, unknown>) as Message);
    return true;
  }

  #say(said: Said[]): void {
    for (const { service, data } of said) this.#journals[service].push(data);
  }
}

const plan: fc.Arbitrary<Plan> = fc.record({
  stock: fc.constantFrom('enough', 'enough', 'none', 'silent'),
  payment: fc.constantFrom('authorized', 'authorized', 'declined', 'silent'),
  captureRefusals: fc.constantFrom(0, 0, 1, 2),
  voidRefusals: fc.constantFrom(0, 0, 1),
  shipment: fc.constantFrom('dispatched', 'dispatched', 'refused', 'silent'),
});

type Step =
  | { deliver: (typeof ears)[number]; again: boolean }
  | { answer: 'inventory' | 'payments' | 'shipping' }
  | { act: 'cancel' | 'deadline' | 'settle' }
  | { resolve: Resolution };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ deliver: fc.constantFrom(...ears), again: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ answer: fc.constantFrom('inventory', 'payments', 'shipping') }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('cancel', 'deadline', 'settle') }) },
  { weight: 2, arbitrary: fc.record({ resolve: fc.constantFrom(Resolution.RETRY, Resolution.SETTLED) }) },
);

/** Everything in any order, some of it twice; then all that is left, and a clock that goes on. */
function played(thePlan: Plan, steps: readonly Step[]): Play {
  const play = new Play(thePlan);
  for (const each of steps) {
    if ('deliver' in each) play.deliver(each.deliver, each.again);
    else if ('answer' in each) play.answer(each.answer);
    else if ('resolve' in each) play.resolve(each.resolve);
    else if (each.act === 'cancel') play.cancel();
    else if (each.act === 'deadline') play.passDeadline();
    else play.settle();
  }
  play.settle();
  while (play.passDeadline()) play.settle();
  return play;
}

const runs = fc.tuple(plan, fc.array(step, { maxLength: 80, size: 'max' }));

test('whatever the others say, and in whatever order, it ends, and its end is true of all of them', () => {
  fc.assert(
    fc.property(runs, ([thePlan, steps]) => {
      const { status, world, isSettledByHand } = played(thePlan, steps);
      const { order, stock, payment, shipment } = world;
      const ends = { order, stock, payment, shipment };
      if (status === 'Completed') {
        const captured = isSettledByHand ? expect.any(String) : 'Captured';
        expect(ends).toEqual({ order: 'Completed', stock: 'Committed', payment: captured, shipment: 'Dispatched' });
      } else if (status === 'Failed') {
        expect(order).toBe('Cancelled');
        expect(['Rejected', 'Released']).toContain(stock);
        expect(['None', 'Declined', 'Voided', ...(isSettledByHand ? ['Authorized'] : [])]).toContain(payment);
        expect(['None', 'Refused', 'Cancelled']).toContain(shipment);
      } else {
        expect(['CaptureRefused', 'VoidRefused']).toContain(status);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('each end is come to here', () => {
  const ends = fc.sample(runs, { numRuns: 1_000, seed: 1 }).map(([thePlan, steps]) => played(thePlan, steps).status);
  expect([...new Set(ends)].toSorted()).toEqual(['CaptureRefused', 'Completed', 'Failed', 'VoidRefused']);
});

const undoing = ['ShipmentCancelRequested', 'PaymentVoidRequested', 'StockReleaseRequested', 'FulfilmentFailed'];
const undoneBy: Partial<Record<FulfilmentEvent['type'], FulfilmentEvent['type']>> = {
  StockRequested: 'StockReleaseRequested',
  PaymentRequested: 'PaymentVoidRequested',
  ShipmentRequested: 'ShipmentCancelRequested',
};

test('it undoes the newest first, and fails only when all that it asked for is undone or was never done', () => {
  fc.assert(
    fc.property(runs, ([thePlan, steps]) => {
      const { events, world } = played(thePlan, steps);
      const types = events.map(({ type }) => type);
      const undone = types.filter((type) => undoing.includes(type));
      const order = [...new Set(undone)].map((type) => undoing.indexOf(type));
      expect(order).toEqual(order.toSorted((one, other) => one - other));
      if (!types.includes('FulfilmentFailed')) return;
      const { stock, payment, shipment } = world;
      const refused: Record<string, boolean> = {
        StockRequested: stock === 'Rejected',
        PaymentRequested: payment === 'Declined',
        ShipmentRequested: shipment === 'Refused',
      };
      for (const [asked, back] of Object.entries(undoneBy)) {
        if (types.includes(asked as FulfilmentEvent['type']) && !refused[asked]) expect(types).toContain(back);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('it asks for no shipment of what is being undone, and for no capture of what was not sent', () => {
  fc.assert(
    fc.property(runs, ([thePlan, steps]) => {
      // The world throws where a payment is captured or stock released that must not be.
      const types = played(thePlan, steps).events.map(({ type }) => type);
      const back = types.findIndex((type) => undoing.includes(type));
      if (back >= 0) expect(types.slice(back)).not.toContain('ShipmentRequested');
      if (types.includes('FulfilmentCompleted')) expect(types).not.toContain('FulfilmentFailed');
    }),
    { numRuns: 1_000 },
  );
});

test('aggregates of the other services are those that fulfilment follows', () => {
  for (const { source } of allFacts(patience, () => new Date(0))) {
    expect(aggregates[source.journal.service as OtherService]).toBe(source.aggregate);
  }
});

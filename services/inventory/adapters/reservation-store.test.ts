import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connectBroker } from '#kit/broker.ts';
import { connectDatabase } from '#kit/database.ts';
import { EventTypes, type RecordedEvent, readEvent } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { Outbox } from '#kit/outbox.ts';
import { subjectOf } from '#kit/partitions.ts';
import { journalOf } from '#kit/streams.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { sharedMongoUri, sharedNatsUrl } from '#kit/testing/servers.ts';
import { Steps } from '#kit/testing/steps.ts';
import type { Line, StockCommand } from '../domain/reservation.ts';
import { reservationAggregate } from './reservation-aggregate.ts';
import { ReservationStore } from './reservation-store.ts';
import { type StockCollections, stockCollections } from './stock-collections.ts';
import { StockStore } from './stock-store.ts';

type CommandType = StockCommand['type'];
/** What is asked for one order, in this order. */
type Script = { lines: Line[]; commands: CommandType[] };

const types = new EventTypes(Object.values(reservationAggregate.events));

/** Database and journal of a test's own. */
async function openWorld() {
  const database = connectDatabase(sharedMongoUri(), 'inventory');
  onTestFinished(() => database.close());
  const broker = await connectBroker({ url: sharedNatsUrl(), name: 'test' });
  onTestFinished(() => broker.close());
  const journal = new Journal(journalOf(`stock${randomUUID().slice(0, 8)}`, 64 * 1024 ** 2), broker);
  await journal.ensure();
  const collections = stockCollections(database.db);
  const stockStore = new StockStore(collections.stock);

  return {
    journal,
    collections,
    async add(sku: string, version: number, quantity: number) {
      await stockStore.add(sku, version, quantity);
    },
    /** A store as one process has it. Every call of its database or broker goes through `step`. */
    process(name = '', steps?: Steps, sweepAt = 2) {
      const stepwise = (all: StockCollections): StockCollections =>
        steps === undefined
          ? all
          : { stock: steps.collection(name, all.stock), reservations: steps.collection(name, all.reservations) };
      const { stock, reservations } = stepwise(collections);
      const ownJournal = steps === undefined ? journal : stepwiseJournal(journal, name, steps);
      const outbox = new Outbox({
        collection: reservations,
        journal: ownJournal,
        aggregate: reservationAggregate,
        logger: silent,
      });
      const store = new ReservationStore({ stock, reservations, outbox, clock: () => new Date() }, { sweepAt });
      return { store, outbox, stock: new StockStore(stock) };
    },
    async saidOf(orderId: string): Promise<RecordedEvent[]> {
      const stored = await journal.history(subjectOf(journal.declaration.service, 'reservation', orderId));
      return Promise.all(stored.map((message) => readEvent(message, types, { find: async () => undefined })));
    },
  };
}

type World = Awaited<ReturnType<typeof openWorld>>;

function stepwiseJournal(journal: Journal, process: string, steps: Steps): Journal {
  return {
    declaration: journal.declaration,
    stream: journal.stream,
    append: (append: Parameters<Journal['append']>[0]) => steps.step(process, () => journal.append(append)),
    lastOnLeader: (subject: string) => steps.step(process, () => journal.lastOnLeader(subject)),
  } as unknown as Journal;
}

function command(type: CommandType, orderId: string, lines: readonly Line[]): StockCommand {
  const cause = { id: `${type} of ${orderId}`, correlationId: orderId, traceparent: '', tracestate: '' };
  return type === 'Reserve' ? { type, orderId, lines, cause } : { type, orderId, cause };
}

type Orders = ReadonlyMap<string, Script>;

/** Carries out what is asked for each order: orders side by side, one order's commands one after another. */
async function carryOut({ store }: ReturnType<World['process']>, orders: Orders): Promise<void> {
  await Promise.all(
    [...orders].map(async ([orderId, { lines, commands }]) => {
      for (const type of commands) await store.handle(command(type, orderId, lines));
    }),
  );
}

/** All that may come of an order, by what was asked for it. */
function possible(commands: readonly CommandType[]): string[][] {
  const asked = commands.join(' ');
  const outcomes: Record<string, string[][]> = {
    Reserve: [['StockReserved'], ['StockRejected']],
    'Reserve Release': [
      ['StockReserved', 'StockReleased'],
      ['StockRejected', 'StockReleased'],
    ],
    'Reserve Commit': [['StockReserved', 'StockCommitted'], ['StockRejected']],
    'Release Reserve': [['StockReleased']],
  };
  return outcomes[asked] ?? [];
}

/**
 * What has to hold whenever all is settled: every order has an outcome that is possible, said once and in full; of each
 * item, what was stocked is available, reserved or gone.
 */
async function expectConserved(world: World, orders: Orders, stocked: ReadonlyMap<string, number>): Promise<void> {
  const held = new Map<string, { reserved: number; committed: number }>();
  for (const [orderId, { lines, commands }] of orders) {
    const said = await world.saidOf(orderId);
    const names = said.map(({ type }) => type.split('.').at(-1) ?? '');
    expect(possible(commands), orderId).toContainEqual(names);
    expect(said.map(({ version }) => version)).toEqual(said.map((_, index) => index + 1));
    for (const { sku, quantity } of lines) {
      const of = held.get(sku) ?? { reserved: 0, committed: 0 };
      held.set(sku, of);
      if (names.at(-1) === 'StockReserved') of.reserved += quantity;
      if (names.at(-1) === 'StockCommitted') of.committed += quantity;
    }
  }
  for (const [sku, quantity] of stocked) {
    const { reserved, committed } = held.get(sku) ?? { reserved: 0, committed: 0 };
    const item = await world.collections.stock.findOne({ _id: sku });
    expect({ sku, available: item?.available, reserved: item?.reserved }).toEqual({
      sku,
      available: quantity - reserved - committed,
      reserved,
    });
    expect(item?.available).toBeGreaterThanOrEqual(0);
  }
  const unsaid = await world.collections.reservations.find({ 'outbox.version': { $gte: 1 } } as object).toArray();
  expect(unsaid).toEqual([]);
}

/** Somebody comes who gets all that was not acknowledged, and finishes it. */
async function recover(world: World, orders: Orders): Promise<void> {
  const next = world.process();
  await carryOut(next, orders);
  await next.outbox.sweep();
  await next.outbox.stop();
}

const scripts: CommandType[][] = [['Reserve'], ['Reserve', 'Release'], ['Reserve', 'Commit'], ['Release', 'Reserve']];

/** An item of one run. */
function sku(name: string, index: number): string {
  return `${name}-${index}`;
}

describe('a process that dies between any two calls loses nothing, and nothing is done twice', () => {
  // Somebody else may take a piece between the two lines: then the first line is to be put back.
  const cases = scripts.flatMap((commands) => [undefined, 4].map((interruptedAt) => ({ commands, interruptedAt })));

  test.each(cases)('asked to $commands, interrupted at step $interruptedAt', async ({ commands, interruptedAt }) => {
    const world = await openWorld();
    let isThrough = false;
    for (let dieAt = interruptedAt ?? 0; !isThrough; dieAt++) {
      const [one, other] = [sku('one', dieAt), sku('other', dieAt)];
      await Promise.all([world.add(one, 1, 3), world.add(other, 1, 3)]);
      const lines = [
        { sku: one, quantity: 2 },
        { sku: other, quantity: 3 },
      ];
      const orders = new Map([[randomUUID(), { lines, commands }]]);
      const others: Orders = new Map(
        interruptedAt === undefined
          ? []
          : [[randomUUID(), { lines: [{ sku: other, quantity: 1 }], commands: ['Reserve' as const] }]],
      );
      const steps = new Steps();
      let taken = 0;
      const programs = [
        carryOut(world.process('dying', steps, 1), orders),
        carryOut(world.process('other', steps, 1), others),
      ];
      await steps.run(Promise.allSettled(programs), (processes) => {
        const isOthers = taken >= (interruptedAt ?? 0) && processes.includes('other');
        const dies = !isOthers && taken === dieAt;
        if (!isOthers && !dies) taken++;
        return { index: processes.indexOf(isOthers ? 'other' : 'dying'), dies };
      });
      isThrough = taken < dieAt;
      const all = new Map([...orders, ...others]);
      await recover(world, all);
      const stocked = new Map([
        [one, 3],
        [other, 3],
      ]);
      await expectConserved(world, all, stocked);
    }
  });
});

describe('a process that sleeps between any two calls, while another goes on, does nothing twice', () => {
  /**
   * Pieces there are; how far somebody has come who died before; whether the other does the same order, and more pieces
   * come in then, and whether it sweeps.
   */
  const whiles = [
    { stock: 3, begun: 0, doesItToo: true, sweeps: true },
    { stock: 3, begun: 0, doesItToo: true, sweeps: false },
    { stock: 2, begun: 0, doesItToo: true, sweeps: false },
    { stock: 2, begun: 0, doesItToo: false, sweeps: false },
    { stock: 3, begun: 3, doesItToo: true, sweeps: true },
  ];
  const cases = scripts.flatMap((commands) => whiles.map((each) => ({ ...each, commands })));

  test.each(cases)(
    'asked to $commands of $stock, begun to step $begun; the other does it too: $doesItToo, sweeps: $sweeps',
    async ({ commands, stock, begun, doesItToo, sweeps }) => {
      const world = await openWorld();
      let isThrough = false;
      for (let sleepAt = 0; !isThrough; sleepAt++) {
        const [one, other] = [sku('one', sleepAt), sku('other', sleepAt)];
        const added = doesItToo ? 2 : 0;
        await Promise.all([world.add(one, 1, stock), world.add(other, 1, 3)]);
        const lines = [
          { sku: one, quantity: 2 },
          { sku: other, quantity: 1 },
        ];
        const orders = new Map([[randomUUID(), { lines, commands }]]);
        const others = new Map([
          [randomUUID(), { lines: [{ sku: one, quantity: 1 }], commands: ['Reserve' as const] }],
        ]);
        const past = new Steps();
        const before = carryOut(world.process('dead', past, 100), begun === 0 ? new Map() : orders);
        await past.run(before, () => ({ index: 0, dies: past.taken === begun }));
        const steps = new Steps();
        const awake = world.process('awake', steps, sweeps ? 2 : 100);
        const wholly = async () => {
          await carryOut(awake, others);
          if (doesItToo) await carryOut(awake, orders);
          await awake.stock.add(one, 2, added);
          if (sweeps) for (const each of [one, other]) await awake.store.sweep(each);
        };
        const sleeping = carryOut(world.process('sleeping', steps, 100), orders);
        await steps.run(Promise.all([sleeping, wholly()]), (processes) => {
          const index = processes.indexOf(steps.taken < sleepAt ? 'sleeping' : 'awake');
          return { index: Math.max(index, 0) };
        });
        await sleeping;
        isThrough = steps.taken < sleepAt;
        const all = new Map([...orders, ...others]);
        await recover(world, all);
        const stocked = new Map([
          [one, stock + added],
          [other, 3],
        ]);
        await expectConserved(world, all, stocked);
      }
    },
  );
});

test('whoever does what when, and dies where: stock is conserved, and each order has one outcome', async () => {
  const world = await openWorld();
  const runs = Number(process.env.RESERVATION_RUNS ?? 25);
  const skus = ['a', 'b'];
  const script = fc.record({
    commands: fc.constantFrom(...scripts),
    lines: fc.uniqueArray(fc.record({ sku: fc.constantFrom(...skus), quantity: fc.integer({ min: 1, max: 3 }) }), {
      minLength: 1,
      maxLength: 2,
      selector: ({ sku }) => sku,
    }),
  });
  const plan = fc.record({
    stock: fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 })),
    added: fc.integer({ min: 0, max: 3 }),
    scripts: fc.array(script, { minLength: 1, maxLength: 3 }),
    processes: fc.integer({ min: 1, max: 3 }),
    sweepAt: fc.integer({ min: 1, max: 3 }),
    choices: fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 60 }),
    deaths: fc.uniqueArray(fc.nat({ max: 120 }), { maxLength: 3 }),
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(plan, async ({ stock, added, scripts: asked, processes, sweepAt, choices, deaths }) => {
      const prefix = `run-${run++}`;
      const named = (sku: string) => `${prefix}-${sku}`;
      await Promise.all(skus.map((sku, index) => world.add(named(sku), 1, stock[index] ?? 0)));
      const orders: Orders = new Map(
        asked.map(({ lines, commands }) => [
          randomUUID(),
          { commands, lines: lines.map(({ sku, quantity }) => ({ sku: named(sku), quantity })) },
        ]),
      );
      const steps = new Steps();
      const programs = Array.from({ length: processes }, async (_, index) => {
        const own = world.process(`process ${index}`, steps, sweepAt);
        const adding = index === 0 ? own.stock.add(named('a'), 2, added) : undefined;
        await Promise.all([carryOut(own, orders), adding]);
      });
      let decisions = 0;
      await steps.run(Promise.allSettled(programs), (waiting) => ({
        index: (choices[decisions % choices.length] ?? 0) % waiting.length,
        dies: deaths.includes(decisions++),
      }));
      await world.add(named('a'), 2, added);
      await recover(world, orders);
      await expectConserved(
        world,
        orders,
        new Map(skus.map((sku, index) => [named(sku), (stock[index] ?? 0) + (index === 0 ? added : 0)])),
      );
    }),
    { numRuns: runs },
  );
}, 300_000);

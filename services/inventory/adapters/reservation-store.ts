import { type AnyBulkWriteOperation, type Collection, MongoBulkWriteError } from 'mongodb';
import { Batches } from '#kit/batches.ts';
import { TransientError } from '#kit/errors.ts';
import type { Outbox, OutboxEntry } from '#kit/outbox.ts';
import { inDatabaseSpan } from '#kit/telemetry/tracing.ts';
import {
  begun,
  isPending,
  type Line,
  type Move,
  orderOf,
  restOf,
  type Settled,
  type Step,
  type StockCommand,
  settledStatuses,
  takenMarks,
} from '../domain/reservation.ts';
import { reservationAggregate } from './reservation-aggregate.ts';
import type { ReservationDocument, StockCollections, StockDocument } from './stock-collections.ts';

export type ReservationStoreParts = StockCollections & { outbox: Outbox<ReservationDocument>; clock: () => Date };

/** Commands carried out together: a round trip to the database costs the same for one as for all of them. */
const MAX_COMMANDS = 128;
/** Rounds that may lose against other processes. */
const MAX_ROUNDS = 40;
/** An item with so many marks is swept. */
const SWEEP_AT = 128;
const DUPLICATE_KEY = 11_000;

/** The stock of items, and the reservations that were seen after it. */
type Known = { stock: Map<string, StockDocument>; reservations: Map<string, ReservationDocument> };

/** A reservation's next step. @param from undefined: there is none yet. */
type Transition = { orderId: string; from: ReservationDocument | undefined; step: Step };

/** What is to be written in one round. */
type Changes = { moves: Move[]; putBacks: { orderId: string; line: Line }[]; transitions: Transition[] };

/**
 * Reserves stock, all lines of an order or none, gives it back, and takes it out, each once, with nothing but updates of
 * single documents. Any number of processes may do so at once, and any of them may die or sleep between any two
 * updates: what is begun is finished by whoever comes next.
 *
 * A reservation says what is going on; a move of an item's stock leaves a mark there, in the same update. Marks are kept
 * as long as their reservation is pending. They are swept then, and each sweep raises the item's generation; a move is
 * made only in the generation that was read before its reservation was seen pending, so nobody who slept through a
 * sweep makes a move a second time. (docs/decisions/0012)
 */
export class ReservationStore {
  readonly #parts: ReservationStoreParts;
  readonly #sweepAt: number;
  readonly #batches: Batches<StockCommand, ReservationDocument | undefined>;

  /** @param sweepAt marks on an item at which it is swept. */
  constructor(parts: ReservationStoreParts, { sweepAt = SWEEP_AT }: { sweepAt?: number } = {}) {
    this.#parts = parts;
    this.#sweepAt = sweepAt;
    this.#batches = new Batches((commands) => this.#carryOut(commands), {
      maxItems: MAX_COMMANDS,
      keyOf: ({ orderId }) => orderId,
    });
  }

  /**
   * Carries out a command, after whatever was begun for the same order, and publishes what comes of it. The same again,
   * or one that comes too late, has no effect. Answers how the reservation stands then; undefined: there is none.
   * @throws TransientError where others were first again and again; UnavailableError where broker or database are away.
   */
  async handle(command: StockCommand): Promise<Settled['status'] | undefined> {
    const reservation = await this.#batches.add(command);
    if (reservation === undefined) return undefined;
    await this.#parts.outbox.relay(reservation);
    return (reservation as Settled).status;
  }

  async #carryOut(commands: readonly StockCommand[]): Promise<(ReservationDocument | undefined)[]> {
    const skus = new Set(commands.flatMap((command) => ('lines' in command ? command.lines : [])).map(skuOf));
    let known = await this.#read(commands, skus);
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const changes = planned(commands, known);
      if (isEmpty(changes)) {
        await this.#sweepWhatIsFull(known.stock.values());
        return commands.map(({ orderId }) => known.reservations.get(orderId));
      }
      known = (await this.#write(changes, known)) ?? (await this.#read(commands, skus));
    }
    throw new TransientError(`others changed the stock at the same time, again and again`);
  }

  /**
   * Stock first, reservations then: the generation of an item counts only for what was seen pending after it was read.
   * @param skus grows by those of the reservations that are found.
   */
  async #read(commands: readonly StockCommand[], skus: Set<string>): Promise<Known> {
    const { stock, reservations } = this.#parts;
    const ids = commands.map(({ orderId }) => orderId);
    for (;;) {
      const asked = skus.size;
      const items = asked === 0 ? [] : await found(stock, { _id: { $in: [...skus] } });
      const seen = await found(reservations, { _id: { $in: ids } });
      for (const { sku } of seen.flatMap(({ lines }) => lines)) skus.add(sku);
      if (skus.size > asked) continue;
      return {
        stock: new Map(items.map((item) => [item._id, item])),
        reservations: new Map(seen.map((each) => [each._id, each])),
      };
    }
  }

  /**
   * Makes the changes: of the stock first, because a step says that they are made. Answers what is known then; undefined
   * where somebody else was first with any of them, and it has to be read again.
   */
  async #write({ moves, putBacks, transitions }: Changes, known: Known): Promise<Known | undefined> {
    const { stock, reservations } = this.#parts;
    const movements = merged(moves).map((each) => movement(each, known));
    const operations = [...movements, ...putBacks.flatMap(puttingBack)];
    const stockWrites = await written(stock, operations, 'in order');
    const next = transitions.map((each) => ({ ...each, document: this.#document(each) }));
    const stepWrites = await written(reservations, next.map(transition), 'in any order');
    // Whether there was something to put back is not known before.
    const isAsPlanned = stockWrites === operations.length && stepWrites === next.length && putBacks.length === 0;
    if (!isAsPlanned) return undefined;
    return {
      stock: moved(known.stock, moves),
      reservations: new Map([...known.reservations, ...next.map(({ document }) => [document._id, document] as const)]),
    };
  }

  /** The reservation after a step. */
  #document({ orderId, from, step: { to, says } }: Transition): ReservationDocument {
    const before = from ?? { version: 0, sequence: 0, outbox: [] };
    const { version, sequence, outbox } = before;
    if (says === undefined) return { ...to, _id: orderId, version, sequence, outbox };
    const entry = this.#entry(orderId, version + 1, says);
    return { ...to, _id: orderId, version: version + 1, sequence, outbox: [...outbox, entry] };
  }

  #entry(orderId: string, version: number, { event, cause }: NonNullable<Step['says']>): OutboxEntry {
    const { type, ...says } = event;
    const { id: causationId, ...context } = cause;
    return this.#parts.outbox.entry(orderId, reservationAggregate.events[type], says as object, {
      ...context,
      causationId,
      actor: 'inventory',
      version,
      time: this.#parts.clock(),
    });
  }

  async #sweepWhatIsFull(items: Iterable<StockDocument>): Promise<void> {
    for (const { _id, applied } of items) if (applied.length >= this.#sweepAt) await this.sweep(_id);
  }

  /** Removes an item's marks of all reservations that are not pending. Who read the item before moves nothing then. */
  async sweep(sku: string): Promise<void> {
    const { stock, reservations } = this.#parts;
    const [item] = await found(stock, { _id: sku });
    if (item === undefined) return;
    const orders = [...new Set(item.applied.map(orderOf))];
    const settled = await found(reservations, { _id: { $in: orders }, status: { $in: [...settledStatuses] } });
    const ids = new Set(settled.map(({ _id }) => _id));
    const marks = item.applied.filter((mark) => ids.has(orderOf(mark)));
    const filter = { _id: sku, generation: item.generation };
    const update = { $pullAll: { applied: marks }, $inc: { generation: 1 } };
    if (marks.length > 0) await written(stock, [{ updateOne: { filter, update } }], 'in order');
  }
}

/** What is to be done next for these commands, as it stands. */
function planned(commands: readonly StockCommand[], { stock, reservations }: Known): Changes {
  const changes: Changes = { moves: [], putBacks: [], transitions: [] };
  const promised = new Map<string, number>();
  for (const command of commands) {
    const { orderId } = command;
    const from = reservations.get(orderId);
    if (from === undefined || !isPending(from)) {
      const step = begun(command, from);
      if (step !== undefined) changes.transitions.push({ orderId, from, step });
      continue;
    }
    const rest = restOf(
      orderId,
      from,
      (sku) => stock.get(sku),
      (sku) => promised.get(sku) ?? 0,
    );
    if (rest === undefined) continue;
    if ('step' in rest) changes.transitions.push({ orderId, from, step: rest.step });
    if ('putBack' in rest) changes.putBacks.push(...rest.putBack.map((line) => ({ orderId, line })));
    if ('moves' in rest) {
      changes.moves.push(...rest.moves);
      for (const { sku, available } of rest.moves) promised.set(sku, (promised.get(sku) ?? 0) - Math.min(available, 0));
    }
  }
  return changes;
}

function isEmpty({ moves, putBacks, transitions }: Changes): boolean {
  return moves.length + putBacks.length + transitions.length === 0;
}

/** Moves of one item that are made in one update. */
type Merged = { sku: string; moves: Move[]; isLast: boolean };

/** One update for all moves of an item; one of its own, behind it, for that which takes the last piece. */
function merged(moves: readonly Move[]): Merged[] {
  return [...Map.groupBy(moves, skuOf)].flatMap(([sku, all]) => {
    const [last, others] = [all.filter(({ isLast }) => isLast), all.filter(({ isLast }) => !isLast)];
    return [...(others.length > 0 ? [{ sku, moves: others, isLast: false }] : []), ...last.map(alone)];
  });
}

function alone(move: Move): Merged {
  return { sku: move.sku, moves: [move], isLast: move.isLast };
}

type Operation = AnyBulkWriteOperation<StockDocument>;

function movement({ sku, moves, isLast }: Merged, { stock }: Known): Operation {
  const taken = moves.reduce((sum, { available }) => sum - Math.min(available, 0), 0);
  const marks = moves.map(({ mark }) => mark);
  // With whichever mark it was taken: it is not taken again with the other.
  const excluded = moves.flatMap(({ mark, available }) => (available < 0 ? takenMarks(orderOf(mark)) : [mark]));
  const isEnough = isLast ? { available: taken } : taken > 0 ? { available: { $gt: taken } } : {};
  return {
    updateOne: {
      filter: { _id: sku, generation: stock.get(sku)?.generation, applied: { $nin: excluded }, ...isEnough },
      update: { $inc: sumOf(moves), $push: { applied: { $each: marks } } },
    },
  } as unknown as Operation;
}

function sumOf(moves: readonly Move[]): { available: number; reserved: number } {
  return {
    available: moves.reduce((sum, { available }) => sum + available, 0),
    reserved: moves.reduce((sum, { reserved }) => sum + reserved, 0),
  };
}

/** First nobody can take it any more, then what was taken is put back. */
function puttingBack({ orderId, line: { sku, quantity } }: { orderId: string; line: Line }): Operation[] {
  const marks = takenMarks(orderId);
  return [
    { updateOne: { filter: { _id: sku }, update: { $inc: { generation: 1 } } } },
    {
      updateOne: {
        filter: { _id: sku, applied: { $in: marks } },
        update: { $inc: { available: quantity, reserved: -quantity }, $pullAll: { applied: marks } },
      },
    },
  ] as unknown as Operation[];
}

function transition({ orderId, from, step, document }: Transition & { document: ReservationDocument }) {
  if (from === undefined) return { insertOne: { document } };
  const { version, outbox } = document;
  const said = step.says === undefined ? {} : { $push: { outbox: outbox.at(-1) } };
  const ended = isPending(step.to) ? {} : { $unset: { cause: '', missing: '' } };
  // The outbox itself is left: another process may be emptying it.
  const update = { $set: { ...step.to, version }, ...ended, ...said };
  return { updateOne: { filter: { _id: orderId, status: from.status, version: from.version }, update } };
}

/** The stock after moves that were made as planned. */
function moved(stock: ReadonlyMap<string, StockDocument>, moves: readonly Move[]): Map<string, StockDocument> {
  const after = new Map(stock);
  for (const [sku, ofItem] of Map.groupBy(moves, skuOf)) {
    const item = after.get(sku);
    if (item === undefined) continue;
    const { available, reserved } = sumOf(ofItem);
    after.set(sku, {
      ...item,
      available: item.available + available,
      reserved: item.reserved + reserved,
      applied: [...item.applied, ...ofItem.map(({ mark }) => mark)],
    });
  }
  return after;
}

function skuOf({ sku }: { sku: string }): string {
  return sku;
}

function found<Document extends { _id: string }>(
  collection: Collection<Document>,
  filter: object,
): Promise<Document[]> {
  return inDatabaseSpan('find', collection, async () => {
    const documents = await collection.find(filter).toArray();
    return documents as unknown as Document[];
  });
}

/** Answers how many of the operations had an effect; one that somebody else was first with has none. */
async function written<Document extends { _id: string }>(
  collection: Collection<Document>,
  operations: readonly unknown[],
  order: 'in order' | 'in any order',
): Promise<number> {
  if (operations.length === 0) return 0;
  try {
    const { matchedCount, insertedCount } = await inDatabaseSpan('bulkWrite', collection, () =>
      collection.bulkWrite(operations as AnyBulkWriteOperation<Document>[], { ordered: order === 'in order' }),
    );
    return matchedCount + insertedCount;
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const failures = [error.writeErrors].flat();
    // Without a failed write it says that the connection went, or that the write is not safe: nothing is known of it.
    if (failures.length === 0 || failures.some(({ code }) => code !== DUPLICATE_KEY)) throw error;
    return error.result.matchedCount + error.result.insertedCount;
  }
}

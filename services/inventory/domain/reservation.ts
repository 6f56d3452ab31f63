/** Pieces of one item. A reservation has one line for an item, its lines stand by sku. */
export type Line = { sku: string; quantity: number };

/** An item of which there was not enough, and how much there was. */
type MissingLine = Line & { available: number };

/** The event that a step follows from; what comes of it names it. */
export type Cause = {
  id: string;
  correlationId: string;
  traceparent: string;
  tracestate: string;
  /** To handle it; left out: one. */
  attempts?: number;
};

type ReservationEvent =
  | { type: 'StockReserved'; orderId: string; lines: readonly Line[]; depletedSkus: readonly string[] }
  | { type: 'StockRejected'; orderId: string; missing: readonly MissingLine[] }
  | { type: 'StockReleased'; orderId: string; lines: readonly Line[] }
  | { type: 'StockCommitted'; orderId: string; lines: readonly Line[] };

/** Begun, and to be finished by whoever finds it: stock has moved, or is about to. */
export type Pending = { lines: readonly Line[]; cause: Cause } & (
  | { status: 'RESERVING' | 'RELEASING' | 'COMMITTING' }
  | { status: 'REJECTING'; missing: readonly MissingLine[] }
);

/** No stock moves any more for what led here. */
export type Settled = { status: 'RESERVED' | 'REJECTED' | 'RELEASED' | 'COMMITTED'; lines: readonly Line[] };

export type Reservation = Pending | Settled;

export type StockCommand = { orderId: string; cause: Cause } & (
  | { type: 'Reserve'; lines: readonly Line[] }
  | { type: 'Release' }
  | { type: 'Commit' }
);

/** The next state of a reservation, with the event that it makes, if it makes one, and what that follows from. */
export type Step = { to: Reservation; says?: { event: ReservationEvent; cause: Cause } };

/** An item's stock, as far as reservations go. */
export type Stock = {
  /** Pieces that can be reserved, and pieces that are. */
  available: number;
  reserved: number;
  /** Marks of the moves that have been made, of reservations that are pending, and of others until they are swept. */
  applied: readonly string[];
};

/** One change of one item's stock. Its mark says that it has been made; it is never made twice. */
export type Move = {
  sku: string;
  mark: string;
  /** What it adds to the pieces that are available, and to those that are reserved. */
  available: number;
  reserved: number;
  /** It takes the last piece: exactly so many have to be available. Any other that takes leaves at least one. */
  isLast: boolean;
};

/** What is left to do for a pending reservation. */
export type Rest =
  /** These moves, all of which are possible as it stands. */
  | { moves: readonly Move[] }
  /** Nothing may be taken for it any more, and what was is to be put back; then the step. */
  | { putBack: readonly Line[]; step: Step }
  /** All is moved: this ends it. */
  | { step: Step };

export const settledStatuses = ['RESERVED', 'REJECTED', 'RELEASED', 'COMMITTED'] as const satisfies Settled['status'][];

export function isPending(reservation: Reservation): reservation is Pending {
  return !settledStatuses.some((status) => status === reservation.status);
}

/** One line for each item, by sku: all who reserve take items in the same order. */
function mergedLines(lines: readonly Line[]): Line[] {
  const bySku = Map.groupBy(lines, ({ sku }) => sku);
  return [...bySku]
    .map(([sku, each]) => ({ sku, quantity: each.reduce((sum, { quantity }) => sum + quantity, 0) }))
    .sort((one, other) => (one.sku < other.sku ? -1 : 1));
}

/** The first step of a command; undefined where there is nothing to do: it has been done, or comes too late. */
export function begun(command: StockCommand, current: Settled | undefined): Step | undefined {
  const { orderId, cause } = command;
  switch (command.type) {
    case 'Reserve':
      if (current !== undefined) return undefined;
      return { to: { status: 'RESERVING', lines: mergedLines(command.lines), cause } };
    case 'Release':
      if (current?.status === 'RESERVED') return { to: { status: 'RELEASING', lines: current.lines, cause } };
      // Where nothing was reserved, this keeps a request that is late from reserving anything.
      if (current === undefined || current.status === 'REJECTED') {
        const event: ReservationEvent = { type: 'StockReleased', orderId, lines: [] };
        return { to: { status: 'RELEASED', lines: [] }, says: { event, cause } };
      }
      return undefined;
    case 'Commit':
      if (current?.status !== 'RESERVED') return undefined;
      return { to: { status: 'COMMITTING', lines: current.lines, cause } };
    default:
      return command satisfies never;
  }
}

/**
 * What is left to do for a reservation, given the stock of its items.
 * @param promised pieces of an item that others are about to be given; what lacks only because of them is waited for.
 * @returns undefined: to be looked at again once those have theirs.
 */
export function restOf(
  orderId: string,
  pending: Pending,
  stockOf: (sku: string) => Stock | undefined,
  promised: (sku: string) => number,
): Rest | undefined {
  const { lines, cause } = pending;
  switch (pending.status) {
    case 'RESERVING':
      return restOfReserving(orderId, pending, stockOf, promised);
    case 'REJECTING': {
      const event: ReservationEvent = { type: 'StockRejected', orderId, missing: pending.missing };
      return { putBack: lines, step: { to: { status: 'REJECTED', lines }, says: { event, cause } } };
    }
    case 'RELEASING': {
      const moves = lines.map(({ sku, quantity }) => move(sku, `${orderId} released`, quantity, -quantity));
      const event: ReservationEvent = { type: 'StockReleased', orderId, lines };
      return movesOr(moves, stockOf, { to: { status: 'RELEASED', lines }, says: { event, cause } });
    }
    case 'COMMITTING': {
      const moves = lines.map(({ sku, quantity }) => move(sku, `${orderId} committed`, 0, -quantity));
      const event: ReservationEvent = { type: 'StockCommitted', orderId, lines };
      return movesOr(moves, stockOf, { to: { status: 'COMMITTED', lines }, says: { event, cause } });
    }
    default:
      return pending satisfies never;
  }
}

/** The marks that say of an item that a reservation has taken its pieces; the second, that they were the last. */
export function takenMarks(orderId: string): [string, string] {
  return [`${orderId} reserved`, `${orderId} reserved the last`];
}

/** The order whose reservation made a move. */
export function orderOf(mark: string): string {
  return mark.split(' ')[0] ?? '';
}

function restOfReserving(
  orderId: string,
  { lines, cause }: Pending,
  stockOf: (sku: string) => Stock | undefined,
  promised: (sku: string) => number,
): Rest | undefined {
  const [taken, takenLast] = takenMarks(orderId);
  const has = (sku: string, mark: string) => stockOf(sku)?.applied.includes(mark) === true;
  const left = lines.filter(({ sku }) => !has(sku, taken) && !has(sku, takenLast));
  if (left.length === 0) {
    const depletedSkus = lines.filter(({ sku }) => has(sku, takenLast)).map(({ sku }) => sku);
    const event: ReservationEvent = { type: 'StockReserved', orderId, lines, depletedSkus };
    return { step: { to: { status: 'RESERVED', lines }, says: { event, cause } } };
  }
  const missing = left
    .map((line) => ({ ...line, available: stockOf(line.sku)?.available ?? 0 }))
    .filter(({ quantity, available }) => available < quantity);
  if (missing.length > 0) return { step: { to: { status: 'REJECTING', lines, cause, missing } } };
  const remaining = ({ sku, quantity }: Line) => (stockOf(sku)?.available ?? 0) - promised(sku) - quantity;
  if (left.some((line) => remaining(line) < 0)) return undefined;
  return {
    moves: left.map((line) => {
      const isLast = remaining(line) === 0;
      return { ...move(line.sku, isLast ? takenLast : taken, -line.quantity, line.quantity), isLast };
    }),
  };
}

function move(sku: string, mark: string, available: number, reserved: number): Move {
  return { sku, mark, available, reserved, isLast: false };
}

function movesOr(moves: readonly Move[], stockOf: (sku: string) => Stock | undefined, step: Step): Rest {
  const left = moves.filter(({ sku, mark }) => stockOf(sku)?.applied.includes(mark) !== true);
  return left.length > 0 ? { moves: left } : { step };
}

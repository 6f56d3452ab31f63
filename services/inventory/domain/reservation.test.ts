import { describe, expect, test } from 'vitest';
import { begun, type Pending, restOf, type Settled, type Stock, type StockCommand } from './reservation.ts';

const orderId = 'order-1';
const cause = { id: 'event-1', correlationId: 'correlation-1', traceparent: '', tracestate: '' };
const lines = [
  { sku: 'cup', quantity: 2 },
  { sku: 'grinder', quantity: 1 },
];
const reserve: StockCommand = { type: 'Reserve', orderId, lines, cause };
const release: StockCommand = { type: 'Release', orderId, cause };
const commit: StockCommand = { type: 'Commit', orderId, cause };
const reserving: Pending = { status: 'RESERVING', lines, cause };

function settled(status: Settled['status']): Settled {
  return { status, lines };
}

/** What is left to do with so many pieces of each item, and these marks on it. */
function rest(pending: Pending, stock: Record<string, Partial<Stock>>, promised: Record<string, number> = {}) {
  const items = new Map(
    Object.entries(stock).map(([sku, item]) => [sku, { available: 0, reserved: 0, applied: [], ...item }]),
  );
  return restOf(
    orderId,
    pending,
    (sku) => items.get(sku),
    (sku) => promised[sku] ?? 0,
  );
}

describe('a command', () => {
  test('to reserve begins it, with a line for each item, by sku', () => {
    const asked = [lines[1], { sku: 'cup', quantity: 1 }, { sku: 'cup', quantity: 1 }] as typeof lines;
    expect(begun({ ...reserve, lines: asked }, undefined)).toEqual({ to: reserving });
  });

  test.each(['RESERVED', 'REJECTED', 'RELEASED', 'COMMITTED'] as const)(
    'to reserve what is %s does nothing',
    (status) => {
      expect(begun(reserve, settled(status))).toBeUndefined();
    },
  );

  test('to release what is reserved begins to give it back', () => {
    expect(begun(release, settled('RESERVED'))).toEqual({ to: { status: 'RELEASING', lines, cause } });
  });

  test.each([undefined, settled('REJECTED')])('to release where nothing is reserved says so', (current) => {
    expect(begun(release, current)).toEqual({
      to: { status: 'RELEASED', lines: [] },
      says: { event: { type: 'StockReleased', orderId, lines: [] }, cause },
    });
  });

  test.each(['RELEASED', 'COMMITTED'] as const)('to release what is %s does nothing', (status) => {
    expect(begun(release, settled(status))).toBeUndefined();
  });

  test('to commit is for what is reserved, and for nothing else', () => {
    expect(begun(commit, settled('RESERVED'))).toEqual({ to: { status: 'COMMITTING', lines, cause } });
    for (const status of ['REJECTED', 'RELEASED', 'COMMITTED'] as const) {
      expect(begun(commit, settled(status))).toBeUndefined();
    }
    expect(begun(commit, undefined)).toBeUndefined();
  });
});

describe('a reservation that is begun', () => {
  test('takes each line, and marks that it took the last piece', () => {
    expect(rest(reserving, { cup: { available: 3 }, grinder: { available: 1 } })).toEqual({
      moves: [
        { sku: 'cup', mark: 'order-1 reserved', available: -2, reserved: 2, isLast: false },
        { sku: 'grinder', mark: 'order-1 reserved the last', available: -1, reserved: 1, isLast: true },
      ],
    });
  });

  test('takes nothing where one line can not be had, and says which and how much there was', () => {
    expect(rest(reserving, { cup: { available: 1 }, grinder: { available: 5 } })).toEqual({
      step: { to: { status: 'REJECTING', lines, cause, missing: [{ sku: 'cup', quantity: 2, available: 1 }] } },
    });
    expect(rest(reserving, { cup: { available: 2 } })).toMatchObject({
      step: { to: { missing: [{ sku: 'grinder', quantity: 1, available: 0 }] } },
    });
  });

  test('waits for pieces that are promised to others, because those may not take them', () => {
    const stock = { cup: { available: 3 }, grinder: { available: 5 } };
    expect(rest(reserving, stock, { cup: 2 })).toBeUndefined();
    expect(rest(reserving, stock, { cup: 1 })).toMatchObject({ moves: [{ isLast: true }, { isLast: false }] });
  });

  test('goes on with the lines that are not taken yet', () => {
    const stock = { cup: { available: 0, applied: ['order-1 reserved the last'] }, grinder: { available: 5 } };
    expect(rest(reserving, stock)).toMatchObject({ moves: [{ sku: 'grinder' }] });
  });

  test('is reserved when all is taken, and says what it took the last of, also after more has come in', () => {
    const stock = {
      cup: { available: 7, applied: ['order-1 reserved the last'] },
      grinder: { available: 0, applied: ['order-1 reserved', 'order-2 reserved the last'] },
    };
    expect(rest(reserving, stock)).toEqual({
      step: {
        to: { status: 'RESERVED', lines },
        says: { event: { type: 'StockReserved', orderId, lines, depletedSkus: ['cup'] }, cause },
      },
    });
  });

  test('gives each line back once, and takes each out once', () => {
    const stock = { cup: { applied: ['order-1 released', 'order-1 committed'] }, grinder: {} };
    expect(rest({ status: 'RELEASING', lines, cause }, stock)).toEqual({
      moves: [{ sku: 'grinder', mark: 'order-1 released', available: 1, reserved: -1, isLast: false }],
    });
    expect(rest({ status: 'COMMITTING', lines, cause }, stock)).toEqual({
      moves: [{ sku: 'grinder', mark: 'order-1 committed', available: 0, reserved: -1, isLast: false }],
    });
  });
});

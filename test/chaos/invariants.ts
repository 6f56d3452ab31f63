import { expect, vi } from 'vitest';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { type Broker, connectBroker } from '#kit/broker.ts';
import { type Audit, audit } from '../../gateway/audit/audit.ts';
import { type Client, grpcAs } from '../clients.ts';
import type { Doors } from '../platform.ts';

const SETTLE_MS = 90_000;
/** Histories that are compared with the journals. */
const HISTORIES = 60;

/**
 * Waits until every order is at its end, and checks what must hold whatever failed on the way: the audit of all journals,
 * that every order that was acknowledged is there, that nothing is parked, and that the history view equals the journals.
 * @param acknowledged ids of orders whose caller was told that they are placed.
 */
export async function expectInvariants(
  doors: Doors & { nats: { url: string } },
  acknowledged: readonly string[],
  isWaitingFor: readonly string[] = [],
): Promise<Audit> {
  const broker = await connectBroker({ url: doors.nats.url, name: 'audit' });
  try {
    const operator = await grpcAs(doors, 'olga', 'operator');
    const check = async () => {
      const audited = await settledAudit(broker, operator, isWaitingFor);
      await compareHistories(operator, acknowledged.slice(-HISTORIES), audited);
      return audited;
    };
    const audited = await vi.waitFor(check, { timeout: SETTLE_MS, interval: 500 });
    expect(acknowledged.filter((orderId) => audited.facts.get(orderId)?.placed !== 1)).toEqual([]);
    expect(await parked(broker)).toEqual([]);
    return audited;
  } finally {
    await broker.close();
  }
}

async function settledAudit(broker: Broker, operator: Client, isWaitingFor: readonly string[]): Promise<Audit> {
  const { items } = await operator.call(InventoryService.method.listItems, { pageSize: 100 });
  const stock = items.map(
    ({ sku, available, reserved }) => [sku, { available: Number(available), reserved: Number(reserved) }] as const,
  );
  const audited = await audit(broker, new Map(stock));
  expect(audited.problems).toEqual([]);
  expect([...audited.waiting].filter(([reason]) => !isWaitingFor.includes(reason))).toEqual([]);
  return audited;
}

/** The view of each order's history has what the journals have: not less, not more, and each once. */
async function compareHistories(operator: Client, orderIds: readonly string[], { facts }: Audit): Promise<void> {
  for (const orderId of orderIds) {
    const { events } = await operator.call(OrderService.method.getOrderHistory, { orderId });
    expect(events.map(({ id }) => id).toSorted(), orderId).toEqual(
      [...(facts.get(orderId)?.eventIds ?? [])].toSorted(),
    );
  }
}

async function parked({ manager }: Broker): Promise<string[]> {
  const { state } = await manager.streams.info('DEAD_LETTERS', { subjects_filter: '>' });
  return Object.keys(state.subjects ?? {});
}

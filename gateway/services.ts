import { createRegistry, type DescService } from '@bufbuild/protobuf';
import { file_causeway_inventory_v1_events } from '#gen/causeway/inventory/v1/events_pb.js';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { file_causeway_orders_v1_events } from '#gen/causeway/orders/v1/events_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import type { Health } from '#kit/lifecycle.ts';
import type { Door } from '#kit/rpc/door.ts';
import { RemoteService } from '#kit/rpc/remote.ts';
import type { GatewaySettings } from './settings.ts';

/** The services behind the gateway: what they offer to the outside, and the setting that says where one runs by itself. */
export const services = {
  orders: { contracts: [OrderService], url: 'ordersUrl' },
  inventory: { contracts: [InventoryService], url: 'inventoryUrl' },
} as const satisfies Record<string, { contracts: DescService[]; url: keyof GatewaySettings }>;

/** What may stand in an order's history: JSON needs to know the types. */
export const eventRegistry = createRegistry(file_causeway_orders_v1_events, file_causeway_inventory_v1_events);

export type ServiceName = keyof typeof services;

/** A service as the gateway sees it, wherever it runs. */
export type Backend = { name: string; doors: readonly Door[]; health(): Promise<Health>; close(): void };

/** A service in another process. */
export function remoteBackend(name: ServiceName, address: string): Backend {
  const remote = new RemoteService(address);
  return {
    name,
    doors: services[name].contracts.map((contract) => remote.door(contract)),
    health: () => remote.health(name),
    close: () => remote.close(),
  };
}

/** Ready when all are. */
export async function healthOfAll(backends: readonly Backend[]): Promise<Health> {
  const all = await Promise.all(backends.map(({ health }) => health()));
  return { ready: all.every(({ ready }) => ready), reasons: all.flatMap(({ reasons }) => reasons) };
}

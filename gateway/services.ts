import type { DescService } from '@bufbuild/protobuf';
import { AnalyticsService } from '#gen/causeway/analytics/v1/analytics_service_pb.js';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { NotificationService } from '#gen/causeway/notifications/v1/notifications_service_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { PaymentService } from '#gen/causeway/payments/v1/payments_service_pb.js';
import { ShippingService } from '#gen/causeway/shipping/v1/shipping_service_pb.js';
import { WebhookService } from '#gen/causeway/webhooks/v1/webhooks_service_pb.js';
import type { Health } from '#kit/lifecycle.ts';
import type { Door } from '#kit/rpc/door.ts';
import { RemoteService } from '#kit/rpc/remote.ts';

type BehindTheGateway = {
  /** What it offers to the outside. */
  contracts: DescService[];
  /** Whether an order can't be placed and read without it. The others may be away: their part waits, and goes on. */
  isNeeded: boolean;
};

/** The services behind the gateway. */
export const services = {
  orders: { contracts: [OrderService], isNeeded: true },
  inventory: { contracts: [InventoryService], isNeeded: false },
  fulfilment: { contracts: [], isNeeded: false },
  payments: { contracts: [PaymentService], isNeeded: false },
  shipping: { contracts: [ShippingService], isNeeded: false },
  notifications: { contracts: [NotificationService], isNeeded: false },
  integration: { contracts: [WebhookService], isNeeded: false },
  analytics: { contracts: [AnalyticsService], isNeeded: false },
  operations: { contracts: [OperationsService], isNeeded: false },
} as const satisfies Record<string, BehindTheGateway>;

export type ServiceName = keyof typeof services;

/** A service as the gateway sees it, wherever it runs. */
export type Backend = { name: ServiceName; doors: readonly Door[]; health(): Promise<Health>; close(): void };

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

/** Ready when an order can be placed and read. */
export async function healthOfNeeded(backends: readonly Backend[]): Promise<Health> {
  const needed = backends.filter(({ name }) => services[name].isNeeded);
  const all = await Promise.all(needed.map(({ health }) => health()));
  return { ready: all.every(({ ready }) => ready), reasons: all.flatMap(({ reasons }) => reasons) };
}

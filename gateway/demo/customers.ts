import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import type { Position } from '#gen/causeway/events/v1/position_pb.js';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { type HistoryEvent, OrderService, type PlaceOrderResponse } from '#gen/causeway/orders/v1/orders_service_pb.js';
import type { Stock } from '../audit/audit.ts';
import { stockOf } from '../audit/stock.ts';
import type { Scenario } from './plan.ts';

const IN_FLIGHT = 32;
/** How long a call is made again that found a part of the platform away. */
const PATIENCE_MS = 30_000;
const AGAIN_AFTER_MS = 500;

/** An order that was placed, and what is to become of it. */
export type Placed = { orderId: string; scenario: Scenario; position: Position | undefined };

/** Callers of every kind, at the gateway's HTTP door as anybody would be. */
export class Customers {
  readonly #orders: ReturnType<typeof createClient<typeof OrderService>>;
  readonly #items: ReturnType<typeof createClient<typeof InventoryService>>;

  /** @param transport the way to the gateway, as an operator. */
  constructor(transport: Transport) {
    this.#orders = createClient(OrderService, transport);
    this.#items = createClient(InventoryService, transport);
  }

  /** Places all orders of a plan, mixed; some customers cancel theirs. */
  async placeAll(plan: readonly Scenario[], onPlaced: (placed: Placed) => void): Promise<void> {
    const waiting = mixed(plan);
    const place = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const { orderId, position } = await this.#place(next, waiting.length);
        if (next.cancels === true) {
          const cancellation = { orderId, reason: 'changed my mind', requestId: randomUUID() };
          await patiently(() => this.#orders.cancelOrder(cancellation));
        }
        onPlaced({ orderId, scenario: next, position });
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, place));
  }

  #place({ sku, paymentMethod }: Scenario, number: number): Promise<PlaceOrderResponse> {
    const order = {
      requestId: randomUUID(),
      customerId: `customer-${number % 40}`,
      lines: [{ sku, quantity: 1 }],
      email: `customer-${number % 40}@example.com`,
      paymentMethod,
      shipTo: { name: 'A Customer', line1: '1 Long Road', city: 'Delft', postalCode: '2611', countryCode: 'NL' },
    };
    return patiently(() => this.#orders.placeOrder(order));
  }

  async history({ orderId, position }: Placed): Promise<HistoryEvent[]> {
    const atLeast = position === undefined ? [] : [position];
    return (await this.#orders.getOrderHistory({ orderId, atLeast })).events;
  }

  /** What the inventory says of each item. */
  stock(): Promise<Map<string, Stock>> {
    return stockOf(this.#items);
  }
}

/** Made again, with the same ids, as long as the platform says that a part of it is away; not where nobody answers at all. */
async function patiently<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  const latest = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isComeAgain(error) || performance.now() > latest) throw error;
      await delay(AGAIN_AFTER_MS);
    }
  }
}

function isComeAgain(error: unknown): boolean {
  // What the gateway answers has no cause: that is an error of the connection.
  return error instanceof ConnectError && error.code === Code.Unavailable && error.cause === undefined;
}

/** One of each scenario in turn, as long as there are some left. */
function mixed(plan: readonly Scenario[]): Scenario[] {
  const longest = Math.max(...plan.map(({ orders }) => orders));
  return Array.from({ length: longest }, (_, round) => plan.filter(({ orders }) => orders > round))
    .flat()
    .reverse();
}

import { createClient } from '@connectrpc/connect';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { type HistoryEvent, OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { signToken } from '#kit/rpc/identity.ts';
import type { Stock } from '../audit/audit.ts';
import { stockOf } from '../audit/stock.ts';
import { transportTo } from '../transport.ts';
import type { Scenario } from './plan.ts';

const IN_FLIGHT = 32;

/** An order that was placed in the demo. */
export type Placed = { orderId: string; scenario: Scenario };

/** The demo's callers, at the gateway's HTTP door as anybody would be. */
export class Customers {
  readonly #orders: ReturnType<typeof createClient<typeof OrderService>>;
  readonly #items: ReturnType<typeof createClient<typeof InventoryService>>;

  private constructor(address: string, token: string) {
    const transport = transportTo(address, token);
    this.#orders = createClient(OrderService, transport);
    this.#items = createClient(InventoryService, transport);
  }

  /** @param secret that the gateway checks tokens with. */
  static async of(address: string, secret: string): Promise<Customers> {
    return new Customers(address, await signToken({ subject: 'demo', role: 'operator' }, secret, '1h'));
  }

  /** Places all orders of a plan, mixed; some customers cancel theirs. */
  async placeAll(plan: readonly Scenario[], onPlaced: (placed: Placed) => void): Promise<void> {
    const waiting = mixed(plan);
    const place = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const orderId = await this.#place(next, waiting.length);
        if (next.cancels === true) await this.#orders.cancelOrder({ orderId, reason: 'changed my mind' });
        onPlaced({ orderId, scenario: next });
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, place));
  }

  async #place({ sku, paymentMethod }: Scenario, number: number): Promise<string> {
    const { orderId } = await this.#orders.placeOrder({
      customerId: `customer-${number % 40}`,
      lines: [{ sku, quantity: 1 }],
      email: `customer-${number % 40}@example.com`,
      paymentMethod,
      shipTo: { name: 'A Customer', line1: '1 Long Road', city: 'Delft', postalCode: '2611', countryCode: 'NL' },
    });
    return orderId;
  }

  async history(orderId: string): Promise<HistoryEvent[]> {
    return (await this.#orders.getOrderHistory({ orderId })).events;
  }

  /** What the inventory says of each item. */
  stock(): Promise<Map<string, Stock>> {
    return stockOf(this.#items);
  }
}

/** One of each scenario in turn, as long as there are some left. */
function mixed(plan: readonly Scenario[]): Scenario[] {
  const longest = Math.max(...plan.map(({ orders }) => orders));
  return Array.from({ length: longest }, (_, round) => plan.filter(({ orders }) => orders > round))
    .flat()
    .reverse();
}

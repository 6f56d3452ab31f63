import type { Client } from '@connectrpc/connect';
import type { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import type { Stock } from './audit.ts';

const PAGE_SIZE = 100;
const PAGE_WITHIN_MS = 60_000;

/** What the inventory says of each item, by sku. */
export async function stockOf(inventory: Client<typeof InventoryService>): Promise<Map<string, Stock>> {
  const stock = new Map<string, Stock>();
  for (let pageToken = ''; ; ) {
    const page = await inventory.listItems({ pageSize: PAGE_SIZE, pageToken }, { timeoutMs: PAGE_WITHIN_MS });
    for (const { sku, available, reserved } of page.items) {
      stock.set(sku, { available: Number(available), reserved: Number(reserved) });
    }
    pageToken = page.nextPageToken;
    if (pageToken === '') return stock;
  }
}

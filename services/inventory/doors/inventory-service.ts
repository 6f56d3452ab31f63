import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  GetItemResponseSchema,
  InventoryService,
  ListItemsResponseSchema,
  StockItemRequestSchema,
  StockItemResponseSchema,
} from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError } from '#kit/errors.ts';
import type { Projection } from '#kit/projection.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import type { Item, StockItem } from '../domain/item.ts';
import { type ItemDocument, itemMessage, listItems } from '../views/items/items-view.ts';

const DEFAULT_PAGE_SIZE = 50;

export type InventoryDoorParts = {
  handle(request: CommandRequest<StockItem>): Promise<CommandResult<Item>>;
  items: Projection<ItemDocument>;
};

/** InventoryService: the catalogue, read by everybody, changed by operators. */
export function inventoryDoor({ handle, items }: InventoryDoorParts): Door {
  return door(InventoryService, {
    async listItems({ pageSize, pageToken, atLeast }, call) {
      await items.reached(atLeast, call.signal);
      const page = await listItems(items, pageToken, pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize);
      return create(ListItemsResponseSchema, { items: page.items.map(itemMessage), nextPageToken: page.next });
    },

    async getItem({ sku, atLeast }, call) {
      await items.reached(atLeast, call.signal);
      const item = await items.find(sku);
      if (item === undefined) {
        throw new CallError('NOT_FOUND', `there is no item ${sku}`, { reason: 'ITEM_UNKNOWN', metadata: { sku } });
      }
      return create(GetItemResponseSchema, { item: itemMessage(item) });
    },

    async stockItem(request, call) {
      requireRole(call, 'operator');
      const { sku, name, unitPrice, quantity, requestId } = request;
      const result = await handle({
        key: sku,
        command: { type: 'StockItem', sku, name: name === '' ? undefined : name, unitPrice, quantity },
        caller: call.caller.subject,
        requestId,
        content: toBinary(StockItemRequestSchema, create(StockItemRequestSchema, { sku, name, unitPrice, quantity })),
        correlationId: call.correlationId,
        causationId: requestId === '' ? randomUUID() : requestId,
      });
      return create(StockItemResponseSchema, { sku, version: BigInt(result.version), position: result.position });
    },
  });
}

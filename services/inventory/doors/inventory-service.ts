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
import { uuidsIn } from '#kit/uuid.ts';
import type { Item, StockItem } from '../domain/item.ts';
import type { Request, UseRequestId } from '../domain/request.ts';
import { type ItemDocument, itemMessage, listItems } from '../views/items/items-view.ts';

/** Where it stands that a request id was used (UUIDv5 of caller and request id). The namespace is fixed for ever. */
const requestKeyOf = uuidsIn('c3c0a0f4-6a53-5b1e-8d0f-2f7f1c3f4a52');

const DEFAULT_PAGE_SIZE = 50;

export type InventoryDoorParts = {
  handle(request: CommandRequest<StockItem>): Promise<CommandResult<Item>>;
  noteRequest(request: CommandRequest<UseRequestId>): Promise<CommandResult<Request>>;
  items: Projection<ItemDocument>;
};

/** InventoryService: the catalogue, read by everybody, changed by operators. */
export function inventoryDoor({ handle, noteRequest, items }: InventoryDoorParts): Door {
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
      const asked = {
        caller: call.caller.subject,
        requestId,
        content: toBinary(StockItemRequestSchema, create(StockItemRequestSchema, { sku, name, unitPrice, quantity })),
        correlationId: call.correlationId,
        causationId: requestId === '' ? randomUUID() : requestId,
      };
      if (requestId !== '') {
        // The item knows of its own requests only; here it is refused to use the same id for another.
        const key = requestKeyOf(`${asked.caller}\n${requestId}`);
        await noteRequest({ ...asked, key, creates: true, command: { type: 'UseRequestId', sku } });
      }
      const result = await handle({
        ...asked,
        key: sku,
        command: { type: 'StockItem', sku, name: name === '' ? undefined : name, unitPrice, quantity },
      });
      return create(StockItemResponseSchema, { sku, version: BigInt(result.version), position: result.position });
    },
  });
}

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
import type { RequestId, UseRequestId } from '#kit/request-id.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import { uuidsIn } from '#kit/uuid.ts';
import type { Stored } from '#kit/view.ts';
import type { Item, StockItem } from '../domain/item.ts';
import { type ItemDocument, itemMessage, listItems, type ShownStock } from '../views/items/items-view.ts';

/** Where it stands that a request id was used (UUIDv5 of caller and request id). The namespace is fixed for ever. */
const requestKeyOf = uuidsIn('c3c0a0f4-6a53-5b1e-8d0f-2f7f1c3f4a52');

const DEFAULT_PAGE_SIZE = 50;

export type InventoryDoorParts = {
  handle(request: CommandRequest<StockItem>): Promise<CommandResult<Item>>;
  noteRequest(request: CommandRequest<UseRequestId>): Promise<CommandResult<RequestId>>;
  items: Projection<ItemDocument>;
  stock: {
    of(skus: readonly string[]): Promise<Map<string, ShownStock>>;
    /** Waits until each item has the pieces of its version. */
    reached(versions: ReadonlyMap<string, number>, signal: AbortSignal): Promise<Map<string, ShownStock>>;
  };
};

/** InventoryService: the catalogue, read by everybody, changed by operators. */
export function inventoryDoor({ handle, noteRequest, items, stock }: InventoryDoorParts): Door {
  /** @param atLeast whether the stock has to be as far as the catalogue. */
  async function withStock(found: readonly Stored<ItemDocument>[], atLeast: boolean, signal: AbortSignal) {
    const versions = new Map(found.map(({ _id, version }) => [_id, version]));
    const shown = await (atLeast ? stock.reached(versions, signal) : stock.of([...versions.keys()]));
    return found.map((item) => itemMessage(item, shown.get(item._id)));
  }

  return door(InventoryService, {
    async listItems({ pageSize, pageToken, atLeast }, call) {
      const reader = await items.reached(atLeast, call.signal);
      const page = await listItems(reader, pageToken, pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize);
      const shown = await withStock(page.items, atLeast.length > 0, call.signal);
      return create(ListItemsResponseSchema, { items: shown, nextPageToken: page.next });
    },

    async getItem({ sku, atLeast }, call) {
      const { find } = await items.reached(atLeast, call.signal);
      const item = await find(sku);
      if (item === undefined) {
        throw new CallError('NOT_FOUND', `there is no item ${sku}`, { reason: 'ITEM_UNKNOWN', metadata: { sku } });
      }
      const [shown] = await withStock([item], atLeast.length > 0, call.signal);
      return create(GetItemResponseSchema, { item: shown });
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
        await noteRequest({ ...asked, key, creates: true, command: { type: 'UseRequestId', about: sku } });
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

/**
 * Reserves one piece of the same item for one order after the other, many at once: publishes what a fulfilment asks for,
 * and listens for what inventory says of it. Inventory runs in this process too. Prints how many it were per second.
 *
 * node bench/reserve-hot-item.ts BROKER DATABASE COUNT IN_FLIGHT
 */
import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { StockRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { StockReservedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { CommandHandler } from '#kit/decider.ts';
import { eventHeaders, Header } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { becomesReady } from '#kit/lifecycle.ts';
import { subjectOf } from '#kit/partitions.ts';
import { masterKey, platformSettings } from '#kit/platform-settings.ts';
import { openServiceParts, startService } from '#kit/service-parts.ts';
import { readSettings } from '#kit/settings.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import { inventoryJournal, itemAggregate } from '../services/inventory/adapters/item-aggregate.ts';
import { stockCollections } from '../services/inventory/adapters/stock-collections.ts';
import { inventory } from '../services/inventory/inventory.ts';

export type ReserveHotItemResult = { perSecond: number; cpuSeconds: number };

const SKU = 'hot';
const WARM_UP_SHARE = 0.5;

const [natsUrl = '', mongodbUri = '', count = '', inFlight = ''] = process.argv.slice(2);
const settings = readSettings(platformSettings, {});
const parts = await openServiceParts(
  'inventory',
  { natsUrl, mongodbUri, replicas: 1, personalDataKey: masterKey(settings), sampleData: false },
  createLogger('inventory', 'warn'),
);
const { broker } = parts;
const service = await inventory(parts);
await startService(service, parts);
await becomesReady(() => service.health());
await stockItem(Number(count) * 2);

const waiting = new Map<string, () => void>();
broker.connection.subscribe('live.inventory.event.*.reservation.*', {
  callback: (_, { headers }) => {
    if (headers?.get(Header.type) !== StockReservedSchema.typeName) throw new Error('an order was not reserved');
    waiting.get(headers.get(Header.subject))?.();
  },
});
await reserveAll(Math.ceil(Number(count) * WARM_UP_SHARE));
const [began, cpuBefore] = [performance.now(), process.cpuUsage()];
await reserveAll(Number(count));
const seconds = (performance.now() - began) / 1_000;
const { user, system } = process.cpuUsage(cpuBefore);
process.stdout.write(
  JSON.stringify({
    perSecond: Number(count) / seconds,
    cpuSeconds: (user + system) / 1_000_000,
  } satisfies ReserveHotItemResult),
);
await service.stop();
await parts.close();

async function stockItem(quantity: number): Promise<void> {
  const commands = new CommandHandler(new Journal(inventoryJournal, broker), itemAggregate, parts.personalData);
  const unitPrice = { currencyCode: 'EUR', units: 1n, nanos: 0 };
  await commands.handle({
    key: SKU,
    command: { type: 'StockItem', sku: SKU, name: 'Hot', unitPrice, quantity },
    caller: 'bench',
    requestId: '',
    content: Buffer.from(''),
    correlationId: 'bench',
    causationId: 'bench',
  });
  const { stock } = stockCollections(parts.db);
  while ((await stock.findOne({ _id: SKU })) === null) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function reserveAll(total: number): Promise<void> {
  let left = total;
  const one = async () => {
    while (left-- > 0) await reserve();
  };
  await Promise.all(Array.from({ length: Number(inFlight) }, one));
}

/** Resolves when it is said that the order's piece is reserved. */
async function reserve(): Promise<void> {
  const orderId = randomUUID();
  const { promise, resolve } = Promise.withResolvers<void>();
  waiting.set(orderId, resolve);
  const headers = eventHeaders({
    id: orderId,
    type: StockRequestedSchema.typeName,
    source: 'fulfilment',
    key: orderId,
    time: new Date(),
    version: 1,
    correlationId: 'bench',
    causationId: 'bench',
    actor: 'fulfilment',
    traceparent: '',
    tracestate: '',
  });
  const data = toBinary(
    StockRequestedSchema,
    create(StockRequestedSchema, { orderId, lines: [{ sku: SKU, quantity: 1 }] }),
  );
  await broker.js.publish(subjectOf('fulfilment', 'fulfilment', orderId), data, { headers });
  await promise;
  waiting.delete(orderId);
}

/**
 * Makes stock and reservations anew from the journal, where the database was lost, or a backup is older than the
 * journal. Inventory must not run meanwhile, in any process.
 *
 * NATS_URL=... MONGODB_URI=... npx node services/inventory/rebuild-stock.ts --yes
 */
import type { AnyBulkWriteOperation } from 'mongodb';
import type { StockCommitted, StockReleased, StockReserved } from '#gen/causeway/inventory/v1/events_pb.js';
import { PermanentError } from '#kit/errors.ts';
import { EventTypes, type RecordedEvent, readEvent, type StoredMessage } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { masterKey, platformSettings } from '#kit/platform-settings.ts';
import { runProcess, StartError } from '#kit/process.ts';
import { openServiceParts, type ServiceParts } from '#kit/service-parts.ts';
import { readSettings } from '#kit/settings.ts';
import { messagesBetween } from '#kit/stream-window.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import { inventoryJournal, itemAggregate } from './adapters/item-aggregate.ts';
import { reservationAggregate } from './adapters/reservation-aggregate.ts';
import { type ReservationDocument, type StockDocument, stockCollections } from './adapters/stock-collections.ts';
import type { Settled } from './domain/reservation.ts';

const WRITTEN_AT_ONCE = 1_000;

const types = new EventTypes([...Object.values(itemAggregate.events), ...Object.values(reservationAggregate.events)]);

type Moving = StockReserved | StockReleased | StockCommitted;

/** What an event adds to the pieces of its lines that are available, and to those that are reserved. */
const moves: Record<Moving['$typeName'], { available: number; reserved: number; status: Settled['status'] }> = {
  'causeway.inventory.v1.StockReserved': { available: -1, reserved: 1, status: 'RESERVED' },
  'causeway.inventory.v1.StockReleased': { available: 1, reserved: -1, status: 'RELEASED' },
  'causeway.inventory.v1.StockCommitted': { available: 0, reserved: -1, status: 'COMMITTED' },
};

/**
 * Drops both collections and fills them from the journal. What was begun and not said is not there then: its request
 * was not acknowledged, and comes again. Answers how many items and reservations there are.
 */
export async function rebuildStock({
  broker,
  db,
}: Pick<ServiceParts, 'broker' | 'db'>): Promise<{ items: number; reservations: number }> {
  const { stock, reservations } = stockCollections(db);
  await Promise.all([stock.deleteMany({}), reservations.deleteMany({})]);
  const items = new Map<string, StockDocument>();
  let writes: AnyBulkWriteOperation<ReservationDocument>[] = [];
  const flush = async () => {
    if (writes.length > 0) await reservations.bulkWrite(writes, { ordered: true });
    writes = [];
  };
  for await (const event of eventsOf(broker)) {
    const isItem = event.subject.includes(`.${itemAggregate.name}.`);
    if (isItem) addPieces(items, event);
    else writes.push(reserved(items, event));
    if (writes.length === WRITTEN_AT_ONCE) await flush();
  }
  await flush();
  if (items.size > 0) await stock.insertMany([...items.values()]);
  return { items: items.size, reservations: await reservations.countDocuments() };
}

/** All events of items and reservations, first to last. */
async function* eventsOf(broker: ServiceParts['broker']): AsyncGenerator<RecordedEvent> {
  const { stream } = inventoryJournal;
  const aggregates: readonly string[] = [itemAggregate.name, reservationAggregate.name];
  const { state } = await broker.manager.streams.info(stream);
  for await (const message of messagesBetween(broker, stream, { from: 1, to: state.last_seq })) {
    if (!aggregates.includes(message.subject.split('.')[3] ?? '')) continue;
    const event = await eventIn(message);
    if (event !== undefined) yield event;
  }
}

/** What is no event moved nothing when it came: it was parked. */
async function eventIn(message: StoredMessage): Promise<RecordedEvent | undefined> {
  try {
    return await readEvent(message, types, { find: async () => undefined });
  } catch (error) {
    if (error instanceof PermanentError) return undefined;
    throw error;
  }
}

function addPieces(items: Map<string, StockDocument>, { key, version, data }: RecordedEvent): void {
  const { quantity } = data as unknown as { quantity: number };
  // Whoever still holds what it read before the loss has another generation.
  const before = items.get(key) ?? { _id: key, available: 0, reserved: 0, applied: [], generation: Date.now() };
  items.set(key, { ...before, available: before.available + quantity, stockedVersion: version });
}

/** Moves the stock of a reservation's event; answers how the reservation is written. */
function reserved(items: Map<string, StockDocument>, event: RecordedEvent): AnyBulkWriteOperation<ReservationDocument> {
  const { key, version, sequence } = event;
  const data = event.data as Moving;
  const move = moves[data.$typeName];
  const lines = move === undefined ? [] : data.lines.map(({ sku, quantity }) => ({ sku, quantity }));
  for (const { sku, quantity } of lines) {
    const item = items.get(sku);
    if (item === undefined) continue;
    item.available += move.available * quantity;
    item.reserved += move.reserved * quantity;
  }
  const status = move?.status ?? 'REJECTED';
  const replacement = { status, lines, version, sequence, outbox: [] };
  return { replaceOne: { filter: { _id: key }, replacement, upsert: true } };
}

if (import.meta.main) {
  await runProcess(async (started) => {
    const settings = readSettings(platformSettings, process.env);
    const { natsUrl, natsCreds, mongodbUri, streamReplicas: replicas } = settings;
    if (natsUrl === undefined || mongodbUri === undefined) throw new StartError('NATS_URL and MONGODB_URI must be set');
    if (!process.argv.includes('--yes')) throw new StartError('stop inventory everywhere, then say --yes');
    const servers = { natsUrl, natsCreds, mongodbUri, replicas };
    const keys = { personalDataKey: masterKey(settings), sampleData: false };
    const parts = await openServiceParts('inventory', { ...servers, ...keys }, createLogger('inventory', 'warn'));
    started.add('connections', parts.close);
    await new Journal(inventoryJournal, parts.broker).ensure();
    const { items, reservations } = await rebuildStock(parts);
    process.stdout.write(`${items} items and ${reservations} reservations are as the journal says\n`);
    await started.stop();
  });
}

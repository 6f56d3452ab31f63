import { KeyedConsumer } from '#kit/consumer.ts';
import { CommandHandler } from '#kit/decider.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { untilAnswered } from '#kit/outages.ts';
import { Outbox } from '#kit/outbox.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { inventoryJournal, itemAggregate } from './adapters/item-aggregate.ts';
import { requestAggregate } from './adapters/request-aggregate.ts';
import { reservationAggregate } from './adapters/reservation-aggregate.ts';
import { ReservationStore } from './adapters/reservation-store.ts';
import { stockCollections } from './adapters/stock-collections.ts';
import { StockStore } from './adapters/stock-store.ts';
import { inventoryDoor } from './doors/inventory-service.ts';
import { addStock } from './reactions/add-stock.ts';
import { commitStock } from './reactions/commit-stock.ts';
import { reserveStock } from './reactions/reserve-stock.ts';
import { stockSampleItems } from './sample-items.ts';
import { itemsView } from './views/items/items-view.ts';

/** Reservations are written in batches: the more there are at once, the less each costs. */
const atOnce = { maxKeys: 128, maxAtWork: 256 };

/**
 * Inventory: the catalogue and its stock. Stock and reservations are documents, written by reactions; what becomes of a
 * reservation is said through its outbox.
 *
 * | door | does |
 * | --- | --- |
 * | InventoryService | commands on the aggregates `item` and `request`, queries on the view and the stock |
 *
 * | reaction | to | does |
 * | --- | --- | --- |
 * | reserve-stock-on-request | FULFILMENT: StockRequested, StockReleaseRequested | StockReserved, StockRejected, StockReleased |
 * | commit-stock-on-shipment-dispatched | SHIPPING: ShipmentDispatched | StockCommitted |
 * | add-stock-on-item-event | INVENTORY, items | adds pieces to the stock |
 *
 * | projection | made from |
 * | --- | --- |
 * | items | INVENTORY, items |
 */
export async function inventory(parts: ServiceParts): Promise<Service> {
  const journal = new Journal(inventoryJournal, parts.broker);
  const commands = new CommandHandler(journal, itemAggregate, parts.personalData, parts.clock);
  const requests = new CommandHandler(journal, requestAggregate, parts.personalData, parts.clock);
  const items = new Projection(itemsView, parts);
  const { stock, reservations } = stockCollections(parts.db);
  const { logger, clock } = parts;
  const outbox = new Outbox({ collection: reservations, journal, aggregate: reservationAggregate, logger });
  const stockOfItems = new StockStore(stock);
  const reserving = new ReservationStore({ stock, reservations, outbox, clock });
  const reactions = [
    new KeyedConsumer(reserveStock(reserving), parts, atOnce),
    new KeyedConsumer(commitStock(reserving, logger), parts, atOnce),
    new KeyedConsumer(addStock(stockOfItems), parts),
  ];
  const work = new OwnedWork([items, ...reactions], [commands, requests, outbox], parts);

  const health = () => healthOf(parts, journal, [work]);
  let endObserving = () => {};

  return {
    name: 'inventory',
    doors: [
      inventoryDoor({
        handle: (request) => commands.handle(request),
        noteRequest: (request) => requests.handle(request),
        items,
        stock: stockOfItems,
      }),
    ],
    async start() {
      await journal.ensure();
      await ensureJournals(parts.broker, [journalOf('fulfilment'), journalOf('shipping')]);
      endObserving = observeJournal(parts.broker, inventoryJournal, parts.logger);
      if (parts.sampleData) await untilAnswered(() => stockSampleItems(commands));
      outbox.start();
      await work.start(health);
    },
    async stop() {
      endObserving();
      await work.stop();
      await outbox.stop();
    },
    health,
    describe: () => work.describe(),
  };
}

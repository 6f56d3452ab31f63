import { CommandHandler } from '#kit/decider.ts';
import { Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { inventoryJournal, itemAggregate } from './adapters/item-aggregate.ts';
import { requestAggregate } from './adapters/request-aggregate.ts';
import { inventoryDoor } from './doors/inventory-service.ts';
import { stockSampleItems } from './sample-items.ts';
import { itemsView } from './views/items/items-view.ts';

/**
 * Inventory: the catalogue and its stock.
 *
 * | door | does |
 * | --- | --- |
 * | InventoryService | commands on the aggregates `item` and `request`, queries on the view |
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
  const work = new OwnedWork([items], parts);

  let endObserving = () => {};

  return {
    name: 'inventory',
    doors: [
      inventoryDoor({
        handle: (request) => commands.handle(request),
        noteRequest: (request) => requests.handle(request),
        items,
      }),
    ],
    async start() {
      await journal.ensure();
      endObserving = observeJournal(parts.broker, inventoryJournal, parts.logger);
      if (parts.sampleData) await stockSampleItems(commands);
      await work.start();
    },
    async stop() {
      endObserving();
      await work.stop();
    },
    health: () => healthOf(parts, journal, [work]),
  };
}

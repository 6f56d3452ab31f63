import { CommandHandler } from '#kit/decider.ts';
import { Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import { Replica } from '#kit/replica.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { orderAggregate, ordersJournal } from './adapters/order-aggregate.ts';
import { orderDoor } from './doors/order-service.ts';
import { catalogueView } from './views/catalogue/catalogue-view.ts';
import { historyView } from './views/history/history-view.ts';
import { watchOrder } from './views/history/watch-order.ts';
import { ordersView } from './views/orders/orders-view.ts';

/**
 * Orders: takes them, lets them be cancelled, and tells what became of them.
 *
 * | door | does |
 * | --- | --- |
 * | OrderService | commands on the aggregate `order`, queries on the views |
 *
 * | projection | made from |
 * | --- | --- |
 * | orders | ORDERS |
 * | history | every journal, what is kept under an order's id |
 * | catalogue | INVENTORY, items; also held in memory, so that placing an order needs no database |
 */
export async function orders(parts: ServiceParts): Promise<Service> {
  const { broker, personalData, clock, logger } = parts;
  const journal = new Journal(ordersJournal, broker);
  const commands = new CommandHandler(journal, orderAggregate, personalData, clock);
  const catalogue = new Replica(catalogueView, parts);
  const projections = {
    orders: new Projection(ordersView, parts),
    history: new Projection(historyView, parts),
    catalogue: new Projection(catalogueView, parts),
  };
  const work = new OwnedWork(Object.values(projections), parts);

  let endObserving = () => {};

  return {
    name: 'orders',
    doors: [
      orderDoor({
        handle: (request) => commands.handle(request),
        stateOf: async (orderId) => (await commands.state(orderId))?.state,
        prices: catalogue,
        orders: projections.orders,
        history: projections.history,
        watch: (orderId, maySee, signal) =>
          watchOrder({ broker, personalData, history: projections.history }, orderId, maySee, signal),
      }),
    ],
    async start() {
      await journal.ensure();
      await new Journal(journalOf('inventory'), broker).ensure();
      endObserving = observeJournal(broker, ordersJournal, logger);
      await catalogue.start();
      await work.start();
    },
    async stop() {
      endObserving();
      await Promise.all([catalogue.stop(), work.stop()]);
    },
    health: () => healthOf(parts, journal, [catalogue, work]),
  };
}

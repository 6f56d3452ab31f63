import { KeyedConsumer } from '#kit/consumer.ts';
import { CommandHandler, type CommandRequest } from '#kit/decider.ts';
import { forgetErased } from '#kit/erasure.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import { Replica } from '#kit/replica.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { orderAggregate, ordersJournal } from './adapters/order-aggregate.ts';
import type { OrderCommand } from './domain/order.ts';
import { orderDoor } from './doors/order-service.ts';
import {
  confirmOnPaymentAuthorized,
  endOnFulfilmentEnded,
  shipOnShipmentDispatched,
} from './reactions/order-reactions.ts';
import { catalogueView } from './views/catalogue/catalogue-view.ts';
import { historySources, historyView } from './views/history/history-view.ts';
import { watchOrder } from './views/history/watch-order.ts';
import { ordersView } from './views/orders/orders-view.ts';

/**
 * Orders: takes them, lets them be cancelled, moves them on with what the other services did, and tells what became of
 * them.
 *
 * | door | does |
 * | --- | --- |
 * | OrderService | commands on the aggregate `order`, queries on the views |
 *
 * | reaction | on | does |
 * | --- | --- | --- |
 * | confirm-on-payment-authorized | PAYMENTS, PaymentAuthorized | confirms the order, if it was not cancelled meanwhile |
 * | ship-on-shipment-dispatched | SHIPPING, ShipmentDispatched | the order is shipped |
 * | end-on-fulfilment-ended | FULFILMENT, FulfilmentCompleted and FulfilmentFailed | completes the order, or cancels it |
 * | forget-erased-customers | OPERATIONS, PersonalDataErased | removes what is personal from the views |
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
  const handle = (request: CommandRequest<OrderCommand>) => commands.handle(request);
  const catalogue = new Replica(catalogueView, parts);
  const projections = {
    orders: new Projection(ordersView, parts),
    history: new Projection(historyView, parts),
    catalogue: new Projection(catalogueView, parts),
  };
  const reactions = [
    new KeyedConsumer(confirmOnPaymentAuthorized(handle), parts),
    new KeyedConsumer(shipOnShipmentDispatched(handle), parts),
    new KeyedConsumer(endOnFulfilmentEnded(handle), parts),
    forgetErased(Object.values(projections), parts),
  ];
  const work = new OwnedWork([...Object.values(projections), ...reactions], [commands], parts);

  const health = () => healthOf(parts, journal, [catalogue, work]);
  let endObserving = () => {};

  return {
    name: 'orders',
    doors: [
      orderDoor({
        handle,
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
      await ensureJournals(
        broker,
        historySources.map((source) => source.journal),
      );
      endObserving = observeJournal(broker, ordersJournal, logger);
      await catalogue.start();
      await work.start(health);
    },
    async stop() {
      endObserving();
      await Promise.all([catalogue.stop(), work.stop()]);
    },
    health,
    describe: () => work.describe({ replicas: [catalogue.describe()], watchesAll: true }),
  };
}

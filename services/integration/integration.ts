import type { ConsumerOptions } from '#kit/consumer.ts';
import { KeyedConsumer } from '#kit/consumer.ts';
import { CommandHandler } from '#kit/decider.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import { Replica } from '#kit/replica.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf, PUBLIC } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { attemptAggregate, deliveryAggregate, requestAggregate } from './adapters/delivery-aggregate.ts';
import { endpointAggregate, webhooksJournal } from './adapters/endpoint-aggregate.ts';
import { httpPost } from './adapters/http-post.ts';
import { itemPublicationAggregate, orderPublicationAggregate } from './adapters/publication-aggregate.ts';
import { ReceiverAddresses } from './adapters/receiver-address.ts';
import { webhookDoor } from './doors/webhook-service.ts';
import { deliver } from './reactions/deliver.ts';
import { EndpointTraffic, type TrafficLimits } from './reactions/endpoint-traffic.ts';
import { publishDepletedStock, publishOrderEnds, publishRefunds } from './reactions/publish.ts';
import { requestDeliveries } from './reactions/request-deliveries.ts';
import type { IntegrationSettings } from './settings.ts';
import { deliveriesView } from './views/deliveries/deliveries-view.ts';
import { endpointsView } from './views/endpoints/endpoints-view.ts';

export { integrationSettings } from './settings.ts';

export type DeliveryOptions = {
  consumer: ConsumerOptions & { maxAttempts: number };
  traffic: TrafficLimits;
  timeoutMs: number;
};

/**
 * A delivery only waits, so many are at work at once. Twelve attempts take about a quarter of an hour. An endpoint that
 * answers well has 48 lanes of a partition at most, and so of 512 in all 384; one that does not has 8, and so 64: seven
 * that hang leave room for the others.
 */
const deliveryOptions: DeliveryOptions = {
  consumer: {
    maxKeys: 256,
    maxAtWork: 512,
    maxHeld: 2_048,
    maxAttempts: 12,
    backoff: { minMs: 1_000, maxMs: 10 * 60_000 },
  },
  traffic: { callsWhenWell: 48, callsWhenUnwell: 8, failuresUntilDown: 20, waitingWhenDown: 1_024 },
  timeoutMs: 10_000,
};

/**
 * Integration: the published language, and webhooks that carry it outside.
 *
 * | door | does |
 * | --- | --- |
 * | WebhookService | commands on the aggregate `endpoint`, queries on the views; for operators |
 *
 * | reaction | to | makes |
 * | --- | --- | --- |
 * | publish-on-order-end | ORDERS: OrderCompleted, OrderCancelled | the same in PUBLIC |
 * | publish-on-payment-refunded | PAYMENTS: PaymentRefunded | the same in PUBLIC |
 * | publish-on-stock-reserved | INVENTORY: StockReserved that took the last piece | StockDepleted in PUBLIC, for each item |
 * | request-deliveries-on-public-event | PUBLIC: all | DeliveryRequested for each endpoint that wants it |
 * | deliver-on-delivery-requested | WEBHOOKS: DeliveryRequested | a call, and what came of it |
 *
 * | projection | made from |
 * | --- | --- |
 * | endpoints | WEBHOOKS, endpoints; also held in memory, so that an event costs no query |
 * | deliveries | WEBHOOKS, deliveries and their attempts |
 */
export async function integration(
  parts: ServiceParts,
  { environment, webhookPrivateTargets }: IntegrationSettings,
  options: DeliveryOptions = deliveryOptions,
): Promise<Service> {
  const { broker, personalData, clock, logger } = parts;
  const published = new Journal(PUBLIC, broker);
  const journal = new Journal(webhooksJournal, broker);
  const ofOrders = new CommandHandler(published, orderPublicationAggregate, personalData, clock);
  const ofItems = new CommandHandler(published, itemPublicationAggregate, personalData, clock);
  const endpoints = new CommandHandler(journal, endpointAggregate, personalData, clock);
  const requests = new CommandHandler(journal, requestAggregate, personalData, clock);
  const deliveries = new CommandHandler(journal, deliveryAggregate, personalData, clock);
  const attempts = new CommandHandler(journal, attemptAggregate, personalData, clock);

  const known = new Replica(endpointsView, parts);
  const projections = {
    endpoints: new Projection(endpointsView, parts),
    deliveries: new Projection(deliveriesView, parts),
  };
  const addresses = new ReceiverAddresses(webhookPrivateTargets ?? environment !== 'production');
  const reactions = [
    new KeyedConsumer(
      publishOrderEnds((request) => ofOrders.handle(request)),
      parts,
    ),
    new KeyedConsumer(
      publishRefunds((request) => ofOrders.handle(request)),
      parts,
    ),
    new KeyedConsumer(
      publishDepletedStock((request) => ofItems.handle(request)),
      parts,
    ),
    new KeyedConsumer(
      requestDeliveries({ endpoints: () => known.all(), request: (request) => deliveries.handle(request) }),
      parts,
    ),
    new KeyedConsumer(
      deliver({
        endpoint: async (endpointId) => (await endpoints.state(endpointId))?.state,
        attempts: async (deliveryId) => (await attempts.state(deliveryId))?.state,
        changeEndpoint: (request) => endpoints.handle(request),
        note: (request) => attempts.handle(request),
        post: httpPost(addresses, options),
        traffic: new EndpointTraffic(options.traffic),
        maxAttempts: options.consumer.maxAttempts,
        clock,
      }),
      parts,
      options.consumer,
    ),
  ];
  const publishers = [ofOrders, ofItems, endpoints, requests, deliveries, attempts];
  const work = new OwnedWork([...Object.values(projections), ...reactions], publishers, parts);

  // A full PUBLIC shows in the reactions, which wait for it.
  const health = () => healthOf(parts, journal, [known, work]);
  let endObserving: (() => void)[] = [];

  return {
    name: 'integration',
    doors: [
      webhookDoor({
        handle: (request) => endpoints.handle(request),
        noteRequest: (request) => requests.handle(request),
        stateOf: async (endpointId) => (await endpoints.state(endpointId))?.state,
        all: () => known.all(),
        requireGoodUrl: (url) => addresses.requireGood(url),
        ...projections,
      }),
    ],
    async start() {
      await ensureJournals(broker, [PUBLIC, webhooksJournal]);
      await ensureJournals(
        broker,
        ['orders', 'payments', 'inventory'].map((service) => journalOf(service)),
      );
      endObserving = [PUBLIC, webhooksJournal].map((each) => observeJournal(broker, each, logger));
      await known.start();
      await work.start(health);
    },
    async stop() {
      for (const end of endObserving) end();
      await Promise.all([known.stop(), work.stop()]);
    },
    health,
    describe: () => work.describe({ replicas: [known.describe()] }),
  };
}

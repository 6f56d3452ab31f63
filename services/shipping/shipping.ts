import { KeyedConsumer } from '#kit/consumer.ts';
import { Deadlines } from '#kit/deadlines.ts';
import { CommandHandler, type CommandRequest } from '#kit/decider.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import type { SettingValues } from '#kit/settings.ts';
import { journalOf } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { requestAggregate } from './adapters/request-aggregate.ts';
import { shipmentAggregate, shippingJournal } from './adapters/shipment-aggregate.ts';
import { simulatedCarrier } from './adapters/simulated-carrier.ts';
import type { ShipmentCommand } from './domain/shipment.ts';
import { shippingDoor } from './doors/shipping-service.ts';
import { deliverWhenDue } from './reactions/deliver-when-due.ts';
import { shipOrCancelOnRequest } from './reactions/ship-or-cancel.ts';
import type { shippingSettings } from './settings.ts';
import { shipmentsView } from './views/shipments/shipments-view.ts';

export { shippingSettings } from './settings.ts';

/**
 * Shipping: hands goods over to a carrier, or promises not to, and knows when they have arrived.
 *
 * | door | does |
 * | --- | --- |
 * | ShippingService | commands on the aggregates `shipment` and `request`, queries on the view |
 *
 * | reaction | on | does |
 * | --- | --- | --- |
 * | ship-or-cancel-on-request | FULFILMENT, ShipmentRequested | books a carrier and dispatches the shipment; cancels what can't be sent |
 * | | FULFILMENT, ShipmentCancelRequested | cancels the shipment, unless it is dispatched |
 * | deliver-when-due | a shipment's `deliveryDue` | the simulated carrier delivers it |
 *
 * | projection | made from |
 * | --- | --- |
 * | shipments | SHIPPING, shipments |
 */
export async function shipping(
  parts: ServiceParts,
  { carrierDeliversAfterMs }: SettingValues<typeof shippingSettings>,
): Promise<Service> {
  const { broker, personalData, clock, logger } = parts;
  const journal = new Journal(shippingJournal, broker);
  const commands = new CommandHandler(journal, shipmentAggregate, personalData, clock);
  const requests = new CommandHandler(journal, requestAggregate, personalData, clock);
  const handle = (request: CommandRequest<ShipmentCommand>) => commands.handle(request);
  const shipments = new Projection(shipmentsView(carrierDeliversAfterMs), parts);
  const reaction = new KeyedConsumer(shipOrCancelOnRequest({ handle, carrier: simulatedCarrier }), parts);
  const deliveries = new Deadlines(deliverWhenDue(handle, shipments), parts);
  const work = new OwnedWork([shipments, reaction, deliveries], [commands, requests], parts);

  const health = () => healthOf(parts, journal, [work]);
  let endObserving = () => {};

  return {
    name: 'shipping',
    doors: [shippingDoor({ handle, noteRequest: (request) => requests.handle(request), shipments })],
    async start() {
      await journal.ensure();
      await ensureJournals(broker, [journalOf('fulfilment')]);
      endObserving = observeJournal(broker, shippingJournal, logger);
      await work.start(health);
    },
    async stop() {
      endObserving();
      await work.stop();
    },
    health,
    describe: () => work.describe(),
  };
}

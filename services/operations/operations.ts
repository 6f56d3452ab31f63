import { KeyedConsumer } from '#kit/consumer.ts';
import { DeadLetterDesk } from '#kit/dead-letter-desk.ts';
import { CommandHandler, type CommandRequest } from '#kit/decider.ts';
import { installedConsumers } from '#kit/installation/consumers.ts';
import { diagnose } from '#kit/installation/diagnosis.ts';
import { confirmedLook, type InstallationLook, lookAtInstallation } from '#kit/installation/look.ts';
import { installedServices } from '#kit/installation/services.ts';
import { installedStreams } from '#kit/installation/streams.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import { readDescriptions } from '#kit/service-descriptions.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { askAboutViews, servicesWithViews } from '#kit/view-requests.ts';
import { actAggregate } from './adapters/act-aggregate.ts';
import { actRecord } from './adapters/act-record.ts';
import { erasureAggregate } from './adapters/erasure-aggregate.ts';
import { requestedErasure } from './adapters/erasure-record.ts';
import { fulfilmentStanding } from './adapters/fulfilment-standing.ts';
import { parkedLetters } from './adapters/parked-letters.ts';
import { projectionActAggregate } from './adapters/projection-act-aggregate.ts';
import { resolutionAggregate } from './adapters/resolution-aggregate.ts';
import { stockCheck } from './adapters/stock-check.ts';
import type { ErasureCommand } from './domain/erasure.ts';
import { Acts, type Letters } from './doors/acts.ts';
import { operationsDoor } from './doors/operations-service.ts';
import { Overview } from './doors/overview.ts';
import { observeOrders } from './order-metrics.ts';
import { destroyKeys, destroyKeysOnErasureRequested } from './reactions/destroy-keys.ts';
import type { OperationsSettings } from './settings.ts';
import { latencies, openFulfilments } from './views/fulfilments/fulfilment-figures.ts';
import { fulfilmentsView } from './views/fulfilments/fulfilments-view.ts';
import { pulseOf } from './views/pulse/pulse-queries.ts';
import { pulseView } from './views/pulse/pulse-view.ts';

export { operationsSettings } from './settings.ts';

/** What a view does not answer in this time is left out of the overview. */
const VIEW_WITHIN_MS = 2_000;

/**
 * Operations: what operators look at and do. Each thing that they do is an event in its journal.
 *
 * | door | does |
 * | --- | --- |
 * | OperationsService | commands on the aggregates `fulfilment`, `act`, `projection` and `erasure`; queries on views, dead letters, journals |
 *
 * | reaction | to | does |
 * | --- | --- | --- |
 * | destroy-keys-on-erasure-requested | OPERATIONS: CustomerErasureRequested | destroys a customer's keys, where the call that asked has not; then PersonalDataErased |
 *
 * | projection | made from |
 * | --- | --- |
 * | fulfilments | FULFILMENT; OPERATIONS, what operators decided |
 * | pulse | ORDERS, FULFILMENT: how many orders came and went, by minute |
 */
export async function operations(
  parts: ServiceParts,
  { environment, natsMonitorUrl }: OperationsSettings = { environment: 'development', natsMonitorUrl: undefined },
): Promise<Service> {
  const { broker, personalData, clock, logger } = parts;
  const journal = new Journal(journalOf('operations'), broker);
  const acts = new CommandHandler(journal, actAggregate, personalData, clock);
  const resolutions = new CommandHandler(journal, resolutionAggregate, personalData, clock);
  const projectionActs = new CommandHandler(journal, projectionActAggregate, personalData, clock);
  const erasures = new CommandHandler(journal, erasureAggregate, personalData, clock);
  const fulfilments = new Projection(fulfilmentsView, parts);
  const pulse = new Projection(pulseView, parts);
  const destroying = { handle: (request: CommandRequest<ErasureCommand>) => erasures.handle(request), personalData };
  const reactions = [new KeyedConsumer(destroyKeysOnErasureRequested(destroying), parts)];
  const publishers = [acts, resolutions, projectionActs, erasures];
  const work = new OwnedWork([fulfilments, pulse, ...reactions], publishers, parts);
  const circumstances = { isProduction: environment === 'production', natsMonitorUrl, clock };
  const diagnosis = (seen: InstallationLook) => diagnose(broker, seen, circumstances, [stockCheck]);
  const look = (earlier?: InstallationLook) => lookAtInstallation(broker, clock, earlier);
  const soonest = () => AbortSignal.timeout(VIEW_WITHIN_MS);
  const figures = {
    pulse: async (now = clock()) => pulseOf(await pulse.reached([], soonest()), now),
    open: async (now = clock()) => openFulfilments(await fulfilments.reached([], soonest()), now),
    latencies: async () => latencies(await fulfilments.reached([], soonest())),
  };
  const overview = new Overview({ look, diagnose: diagnosis, ...figures, clock });
  const desk = new DeadLetterDesk(broker);
  const letters: Letters = (row, from, limit) => parkedLetters(broker, row, from, limit);

  const health = () => healthOf(parts, journal, [work]);
  let ends: (() => void)[] = [];

  return {
    name: 'operations',
    doors: [
      operationsDoor({
        fulfilments,
        standingOf: (orderId) => fulfilmentStanding(broker, orderId),
        resolve: (request) => resolutions.handle(request),
        noteRequest: (request) => acts.handle(request),
        requestProjectionAct: (request) => projectionActs.handle(request),
        personalData,
        requestErasure: (request) => erasures.handle(request),
        requestedErasure: (key, result) => requestedErasure(journal, key, result),
        destroyKeys: (event) => destroyKeys(destroying, event),
        servicesWithViews: () => servicesWithViews(broker),
        askAboutViews: (service, request, asking) => askAboutViews(broker, service, request, asking),
        desk,
        letters,
        installation: {
          services: () => installedServices(broker, clock),
          streams: () => installedStreams(broker),
          consumers: () => installedConsumers(broker),
          diagnose: async () => diagnosis(await confirmedLook(broker, clock)),
        },
        overview,
        descriptions: () => readDescriptions(broker),
        acts: new Acts({
          desk,
          letters,
          handle: (request) => acts.handle(request),
          record: (actId) => actRecord(journal, actId, personalData),
          logger,
        }),
        broker,
        clock,
      }),
    ],
    async start() {
      await journal.ensure();
      await ensureJournals(broker, [journalOf('orders'), journalOf('fulfilment')]);
      ends = [observeJournal(broker, journal.declaration, logger), observeOrders(figures, logger)];
      await work.start(health);
    },
    async stop() {
      for (const end of ends) end();
      await work.stop();
    },
    health,
    describe: () => work.describe({ oversees: true }),
  };
}

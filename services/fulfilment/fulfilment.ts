import { type ConsumerOptions, KeyedConsumer } from '#kit/consumer.ts';
import { type DeadlineOptions, Deadlines } from '#kit/deadlines.ts';
import { CommandHandler } from '#kit/decider.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { fulfilmentAggregate, fulfilmentJournal } from './adapters/fulfilment-aggregate.ts';
import { allFacts, type Patience, reactionTo } from './reactions/facts.ts';
import { undoWhenOverdue } from './reactions/undo-when-overdue.ts';
import { deadlinesView } from './views/deadlines/deadlines-view.ts';

export { fulfilmentSettings } from './settings.ts';

/**
 * Fulfilment: the process manager. Asks the other services for one step of an order after the other, and undoes what
 * was done, newest first, where a step is refused, cancelled or not answered in time. It has no doors.
 *
 * | reaction | follows | on |
 * | --- | --- | --- |
 * | follow-order | ORDERS | placed, confirmed, shipped, cancelled |
 * | follow-stock | INVENTORY, reservations | reserved, rejected, released |
 * | follow-payment | PAYMENTS | declined, captured, voided; capture or void refused |
 * | follow-shipment | SHIPPING | cancelled: as asked, or refused |
 * | follow-operator | OPERATIONS, fulfilments | resolution requested |
 * | undo-when-overdue | the view deadlines, each second | what has not been answered in time |
 *
 * | projection | made from |
 * | --- | --- |
 * | deadlines | FULFILMENT |
 */
export async function fulfilment(
  parts: ServiceParts,
  patience: Patience,
  options: { consumers?: ConsumerOptions; deadlines?: Partial<DeadlineOptions> } = {},
): Promise<Service> {
  const { broker, personalData, clock, logger } = parts;
  const journal = new Journal(fulfilmentJournal, broker);
  const commands = new CommandHandler(journal, fulfilmentAggregate, personalData, clock);
  const handle = commands.handle.bind(commands);
  const facts = allFacts(patience, clock);
  const deadlines = new Projection(deadlinesView, parts);
  const work = new OwnedWork(
    [
      ...facts.map((each) => new KeyedConsumer(reactionTo(each, handle), parts, options.consumers)),
      deadlines,
      new Deadlines(undoWhenOverdue(deadlines, broker, handle), parts, options.deadlines),
    ],
    [commands],
    parts,
  );

  const health = () => healthOf(parts, journal, [work]);
  let endObserving = () => {};

  return {
    name: 'fulfilment',
    doors: [],
    async start() {
      await journal.ensure();
      await ensureJournals(
        broker,
        facts.map(({ source }) => source.journal),
      );
      endObserving = observeJournal(broker, fulfilmentJournal, logger);
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

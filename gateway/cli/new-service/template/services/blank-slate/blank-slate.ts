import { CommandHandler } from '#kit/decider.ts';
import { Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { blankPageAggregate, blankSlateJournal } from './adapters/blank-page-aggregate.ts';
import { blankSlateDoor } from './doors/blank-slate-service.ts';
import { blankPagesView } from './views/blank-pages/blank-pages-view.ts';

/**
 * Blank slate: adds blank pages, and shows them.
 *
 * | door | does |
 * | --- | --- |
 * | BlankSlateService | commands on the aggregate `blank-page`, queries on the view |
 *
 * | projection | made from |
 * | --- | --- |
 * | blank-pages | BLANK_SLATE, blank pages |
 */
export async function blankSlate(parts: ServiceParts): Promise<Service> {
  const { broker, personalData, clock, logger } = parts;
  const journal = new Journal(blankSlateJournal, broker);
  const commands = new CommandHandler(journal, blankPageAggregate, personalData, clock);
  const blankPages = new Projection(blankPagesView, parts);
  const work = new OwnedWork([blankPages], [commands], parts);

  let endObserving = () => {};

  return {
    name: 'blank-slate',
    doors: [blankSlateDoor({ handle: (request) => commands.handle(request), blankPages })],
    async start() {
      await journal.ensure();
      endObserving = observeJournal(broker, blankSlateJournal, logger);
      await work.start();
    },
    async stop() {
      endObserving();
      await work.stop();
    },
    health: () => healthOf(parts, journal, [work]),
    describe: () => work.describe(),
  };
}

import { Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';

export { fulfilmentSettings } from './settings.ts';

/** Fulfilment: the process manager of an order. */
export async function fulfilment(parts: ServiceParts): Promise<Service> {
  const journal = new Journal(journalOf('fulfilment'), parts.broker);
  const work = new OwnedWork([], parts);

  let endObserving = () => {};

  return {
    name: 'fulfilment',
    doors: [],
    async start() {
      await journal.ensure();
      endObserving = observeJournal(parts.broker, journal.declaration, parts.logger);
      await work.start();
    },
    async stop() {
      endObserving();
      await work.stop();
    },
    health: () => healthOf(parts, journal, [work]),
  };
}

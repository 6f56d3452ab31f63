import { Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { PUBLIC } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';

/** Integration: the published language, and webhooks. */
export async function integration(parts: ServiceParts): Promise<Service> {
  const journal = new Journal(PUBLIC, parts.broker);
  const work = new OwnedWork([], parts);

  let endObserving = () => {};

  return {
    name: 'integration',
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

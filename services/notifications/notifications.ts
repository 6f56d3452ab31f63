import { Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { NOTICES } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';

export { notificationsSettings } from './settings.ts';

/** Notifications: what customers are told by e-mail. */
export async function notifications(parts: ServiceParts): Promise<Service> {
  const journal = new Journal(NOTICES, parts.broker);
  const work = new OwnedWork([], parts);

  let endObserving = () => {};

  return {
    name: 'notifications',
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

import { setTimeout as delay } from 'node:timers/promises';
import type { Broker } from '../broker.ts';
import { type ConsumersLook, hasTrouble, lookAtConsumers, SECOND_LOOK_MS } from './consumers.ts';
import { type InstalledService, installedServices } from './services.ts';
import { type InstalledStream, installedStreams } from './streams.ts';

/** What is installed, at a moment. What could not be had is left out, and named in `missing`. */
export type InstallationLook = {
  /** By the monotonic clock, in ms. */
  at: number;
  services?: InstalledService[];
  streams?: InstalledStream[];
  consumers?: ConsumersLook;
  /** In words. */
  missing: string[];
};

const LOOK_WITHIN_MS = 4_000;

/** Looks at all that is installed; none of its parts keeps another one from being told. */
export async function lookAtInstallation(
  broker: Broker,
  clock: () => Date,
  earlier?: InstallationLook,
): Promise<InstallationLook> {
  const at = performance.now();
  const [services, streams, consumers] = await Promise.all([
    soon('services', installedServices(broker, clock)),
    soon('streams', installedStreams(broker)),
    soon('consumers', lookAtConsumers(broker, earlier?.consumers)),
  ]);
  return {
    at,
    missing: [services, streams, consumers].flatMap(({ why }) => why ?? []),
    ...(services.found === undefined ? {} : { services: services.found }),
    ...(streams.found === undefined ? {} : { streams: streams.found }),
    ...(consumers.found === undefined ? {} : { consumers: consumers.found }),
  };
}

/** Looks twice where something seems to stand still, so that what has just come is not taken for it. */
export async function confirmedLook(broker: Broker, clock: () => Date): Promise<InstallationLook> {
  const first = await lookAtInstallation(broker, clock);
  if (!first.consumers?.consumers.some((consumer) => hasTrouble(consumer))) return first;
  await delay(SECOND_LOOK_MS);
  return lookAtInstallation(broker, clock, first);
}

/** What was found, or why it can't be had: also where the answer never comes. */
export async function soon<Found>(
  what: string,
  finding: Promise<Found>,
  withinMs = LOOK_WITHIN_MS,
): Promise<{ found: Found; why?: undefined } | { found?: undefined; why: string }> {
  const answered = new AbortController();
  try {
    const late = delay(withinMs, undefined, { signal: answered.signal }).then(() => {
      throw new Error(`no answer in ${withinMs} ms`);
    });
    return { found: await Promise.race([finding, late]) };
  } catch (error) {
    return { why: `${what}: ${error instanceof Error ? error.message : error}` };
  } finally {
    answered.abort();
  }
}

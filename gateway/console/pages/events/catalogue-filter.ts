import { EventKind } from '#gen/causeway/events/v1/options_pb.js';
import type { EventContract } from '#gen/causeway/operations/v1/log_pb.js';

/** What is looked for in the catalogue. What is empty leaves any. */
export type CatalogueFilter = { text: string; kind: string; service: string };

/** Kinds by the words that stand in the address. */
export const kinds: Record<string, EventKind> = {
  domain: EventKind.DOMAIN,
  integration: EventKind.INTEGRATION,
  notification: EventKind.NOTIFICATION,
};

export function kindName(kind: EventKind): string {
  return Object.keys(kinds).find((name) => kinds[name] === kind) ?? 'unknown';
}

/** Who says or hears any of the events, by name. */
export function servicesOf(events: readonly EventContract[]): string[] {
  const all = events.flatMap(({ publisher, consumers }) => [publisher, ...consumers.map(({ service }) => service)]);
  return [...new Set(all)].filter((service) => service !== '').sort();
}

/** The events that fit: every word is in a name, a description or a field of it; the service says or hears it. */
export function found(events: readonly EventContract[], { text, kind, service }: CatalogueFilter): EventContract[] {
  const words = text.toLowerCase().split(/\s+/);
  return events.filter((event) => {
    const isOfKind = kind === '' || event.kind === kinds[kind];
    return isOfKind && isOfService(event, service) && words.every((word) => wordsOf(event).includes(word));
  });
}

function isOfService({ publisher, consumers }: EventContract, service: string): boolean {
  return service === '' || publisher === service || consumers.some((consumer) => consumer.service === service);
}

function wordsOf({ type, description, stream, fields }: EventContract): string {
  return [type, description, stream, ...fields.map(({ name }) => name)].join(' ').toLowerCase();
}

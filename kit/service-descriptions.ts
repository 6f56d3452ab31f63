import { Kvm } from '@nats-io/kv';
import { answered, type Broker } from './broker.ts';
import { entriesOf } from './bucket-entries.ts';
import type { EventTypes } from './event.ts';
import type { JournalDeclaration } from './streams.ts';
import type { EventSource } from './view.ts';

const BUCKET = 'services';

/** Events of one kind of aggregate in one stream. */
export type DescribedSource = { stream: string; aggregate: string };

/** What a service says: of an aggregate, in a stream. */
type Publication = DescribedSource & {
  /** Full names. */
  eventTypes: string[];
};

/** What a service listens to, on all partitions. */
export type ConsumerDescription = {
  /** Without the partition, as dead letters name it: `payments-authorize-payment-on-payment-requested`. */
  name: string;
  kind: 'reaction' | 'projection';
  sources: DescribedSource[];
  /** Full names of what it looks at. */
  eventTypes: string[];
  /** How long one attempt of a reaction may take. */
  attemptTimeoutMs?: number;
};

/** What a service says and what it listens to, taken from what it is made of. */
export type ServiceDescription = {
  service: string;
  /** Where it publishes. */
  journals: JournalDeclaration[];
  publishes: Publication[];
  consumers: ConsumerDescription[];
};

/** What says events: it knows which, and where. */
export type Publisher = { says(): { journal: JournalDeclaration; aggregate: string; eventTypes: string[] } };

/** What an aggregate's events are called. */
export function eventTypesOf(events: Record<string, { typeName: string }>): string[] {
  return Object.values(events).map(({ typeName }) => typeName);
}

/** A consumer, from what it is made of. */
export function describedConsumer(
  name: string,
  kind: ConsumerDescription['kind'],
  { sources, types }: { sources: readonly EventSource[]; types: EventTypes },
): ConsumerDescription {
  return {
    name,
    kind,
    sources: sources.map(({ journal, aggregate }) => ({ stream: journal.stream, aggregate })),
    eventTypes: types.names(),
  };
}

/** A service, from what it is made of. */
export function describedService(
  service: string,
  publishers: readonly Publisher[],
  consumers: ConsumerDescription[],
): ServiceDescription {
  const said = publishers.map((publisher) => publisher.says());
  return {
    service,
    journals: [...new Map(said.map(({ journal }) => [journal.stream, journal])).values()],
    publishes: said.map(({ journal, aggregate, eventTypes }) => ({ stream: journal.stream, aggregate, eventTypes })),
    consumers,
  };
}

/** Puts the description where everybody finds it, also while the service is away. It replaces the one before. */
export async function describeService(broker: Broker, description: ServiceDescription): Promise<void> {
  const bucket = await new Kvm(broker.js).create(BUCKET, { history: 1, replicas: broker.replicas });
  await bucket.put(description.service, JSON.stringify(description));
}

/**
 * All services that ever started on this broker, by name.
 * @throws UnavailableError where the broker is away.
 */
export async function readDescriptions(broker: Broker): Promise<ServiceDescription[]> {
  const entries = await answered(broker, () => entriesOf(broker, BUCKET));
  return entries
    .flatMap(({ text }) => descriptionFrom(text) ?? [])
    .sort((one, other) => one.service.localeCompare(other.service));
}

/** Anybody may write anything into a bucket. */
function descriptionFrom(text: string): ServiceDescription | undefined {
  try {
    const found = JSON.parse(text) as ServiceDescription;
    const isWhole = [found.journals, found.publishes, found.consumers].every((each) => Array.isArray(each));
    return isWhole ? found : undefined;
  } catch {
    return undefined;
  }
}

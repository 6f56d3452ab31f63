import { Kvm } from '@nats-io/kv';
import { answered, type Broker } from './broker.ts';
import { entriesOf } from './bucket-entries.ts';
import type { EventTypes } from './event.ts';
import type { JournalDeclaration } from './streams.ts';
import type { EventSource } from './view.ts';

export const DESCRIPTIONS_BUCKET = 'services';

/** Events of one kind of aggregate in one stream. */
export type DescribedSource = { stream: string; aggregate: string };

/** What a service says: of an aggregate, in a stream. */
type Publication = DescribedSource & {
  /** Full names. */
  eventTypes: string[];
  /** Of the one aggregate that it says anything of; left out: of any. */
  key?: string;
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
  /** Whether it opens what is sealed. */
  opensPersonalData?: true;
};

/** What a service says and what it listens to, taken from what it is made of. */
export type ServiceDescription = {
  service: string;
  /** Where it publishes. */
  journals: JournalDeclaration[];
  publishes: Publication[];
  consumers: ConsumerDescription[];
  /** Whether it makes customers' keys, to seal personal data with. */
  sealsPersonalData?: true;
} & WithoutConsumers;

/** What a service follows and asks without a consumer of its own. */
export type WithoutConsumers = {
  /** What it holds in memory too. */
  replicas?: EventSource[];
  /** Whether it follows every journal as it grows, for who watches. */
  watchesAll?: true;
  /** Whether it looks at everything that is installed, for operators, and asks the owners of partitions to do something. */
  oversees?: true;
};

/** Whether a service has to do with customers' keys. */
export function needsKeys({ consumers, sealsPersonalData, oversees }: ServiceDescription): boolean {
  return sealsPersonalData === true || oversees === true || consumers.some((each) => each.opensPersonalData);
}

/** What says events: it knows which, and where. */
export type Publisher = {
  says(): {
    journal: JournalDeclaration;
    aggregate: string;
    eventTypes: string[];
    key?: string;
    sealsPersonalData?: boolean;
  };
};

/** What an aggregate's events are called. */
export function eventTypesOf(events: Record<string, { typeName: string }>): string[] {
  return Object.values(events).map(({ typeName }) => typeName);
}

/** A consumer, from what it is made of. */
export function describedConsumer(
  name: string,
  kind: ConsumerDescription['kind'],
  { sources, types }: { sources: readonly EventSource[]; types: EventTypes },
  opensPersonalData: boolean,
): ConsumerDescription {
  return {
    name,
    kind,
    sources: sources.map(({ journal, aggregate }) => ({ stream: journal.stream, aggregate })),
    eventTypes: types.names(),
    ...(opensPersonalData ? { opensPersonalData } : {}),
  };
}

/** A service, from what it is made of. */
export function describedService(
  service: string,
  publishers: readonly Publisher[],
  consumers: ConsumerDescription[],
  others: WithoutConsumers = {},
): ServiceDescription {
  const said = publishers.map((publisher) => publisher.says());
  return {
    service,
    journals: [...new Map(said.map(({ journal }) => [journal.stream, journal])).values()],
    publishes: said.map(({ journal, aggregate, eventTypes, key }) => ({
      stream: journal.stream,
      aggregate,
      eventTypes,
      ...(key === undefined ? {} : { key }),
    })),
    consumers,
    ...(said.some(({ sealsPersonalData }) => sealsPersonalData) ? { sealsPersonalData: true as const } : {}),
    ...others,
  };
}

/** Puts the description where everybody finds it, also while the service is away. It replaces the one before. */
export async function describeService(broker: Broker, description: ServiceDescription): Promise<void> {
  const bucket = await new Kvm(broker.js).create(DESCRIPTIONS_BUCKET, { history: 1, replicas: broker.replicas });
  await bucket.put(description.service, JSON.stringify(description));
}

/**
 * All services that ever started on this broker, by name.
 * @throws UnavailableError where the broker is away.
 */
export async function readDescriptions(broker: Broker): Promise<ServiceDescription[]> {
  const entries = await answered(broker, () => entriesOf(broker, DESCRIPTIONS_BUCKET));
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

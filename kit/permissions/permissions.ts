import { bucketStream } from '../bucket-entries.ts';
import { DEAD_LETTERS } from '../dead-letters.ts';
import { FLOORS_BUCKET } from '../floors.ts';
import { OWNERS_BUCKET } from '../ownership.ts';
import { allPartitions } from '../partitions.ts';
import { KEYS_DESTROYED_SUBJECT, MASTER_KEY_CHECK, PERSONAL_DATA_BUCKET } from '../personal-data.ts';
import { CLAIMS_BUCKET } from '../poison.ts';
import {
  type ConsumerDescription,
  DESCRIPTIONS_BUCKET,
  needsKeys,
  type ServiceDescription,
} from '../service-descriptions.ts';
import { counterOf } from '../view-heads.ts';
import { BUILD_SLOTS } from '../view-register.ts';

/** What a user of the broker may do: subjects, exact but for tokens that can't be known before. Anything else is refused. */
export type Permissions = { user: string; publish: string[]; subscribe: string[] };

/** The user of the operator's tool, and the name that it connects by. */
export const OPERATOR = { user: 'operator', name: 'causeway-cli' } as const;

const KEYS = bucketStream(PERSONAL_DATA_BUCKET);
const BUCKETS = [DESCRIPTIONS_BUCKET, OWNERS_BUCKET, FLOORS_BUCKET, CLAIMS_BUCKET].map(bucketStream);

/**
 * What a service may do: what it is made of says what it has to.
 * @param askers names of those who ask owners and members of all services, and read the answers.
 */
export function servicePermissions(description: ServiceDescription, askers: readonly string[]): Permissions {
  const { service, consumers, oversees, watchesAll, sealsPersonalData } = description;
  const replicas = description.replicas ?? [];
  const own = description.journals.map(({ stream }) => stream);
  const followed = consumers.flatMap(({ sources }) => sources.map(({ stream }) => stream));
  const journals = unique([...own, ...followed, ...replicas.map(({ journal }) => journal.stream)]);
  const opensKeys = needsKeys(description);
  return {
    user: service,
    publish: unique([
      '$JS.API.INFO',
      ...says(description),
      ...[...journals, DEAD_LETTERS, ...BUCKETS, ...(opensKeys ? [KEYS] : [])].flatMap(mayMake),
      ...journals.flatMap(mayRead),
      ...consumers.flatMap(mayConsume),
      ...consumers.flatMap(mayPark),
      `$KV.${DESCRIPTIONS_BUCKET}.${service}`,
      `$KV.${OWNERS_BUCKET}.${service}.*`,
      `$KV.${FLOORS_BUCKET}.${service}.*`,
      `$JS.API.DIRECT.GET.${bucketStream(OWNERS_BUCKET)}`,
      ...[FLOORS_BUCKET, CLAIMS_BUCKET].map((bucket) => `$JS.API.STREAM.MSG.GET.${bucketStream(bucket)}`),
      ...(opensKeys ? [`$JS.API.STREAM.MSG.GET.${KEYS}`] : []),
      ...(sealsPersonalData ? [keySubject('*.*')] : []),
      ...(opensKeys ? [keySubject(MASTER_KEY_CHECK)] : []),
      `owner.${service}.*`,
      `owners.${service}`,
      ...unique([service, ...askers]).map((name) => `_INBOX.${name}.>`),
      ...(oversees ? mayOversee(service) : []),
    ]),
    subscribe: unique([
      `_INBOX.${service}.>`,
      `owner.${service}.*`,
      `owners.${service}`,
      `views.${service}`,
      ...consumers.flatMap(namesOf).map((name) => `owner.${name}.*`),
      ...askers.map((name) => `ended.${name}.*`),
      ...replicas.map(({ journal, aggregate }) => `live.${journal.service}.event.*.${aggregate}.*`),
      ...(watchesAll || oversees ? ['live.*.event.*.*.*'] : []),
      ...(opensKeys ? [KEYS_DESTROYED_SUBJECT] : []),
    ]),
  };
}

/** What whoever runs the platform may do with the operator's tool: look at everything, and ask services how they are. */
export function operatorPermissions(services: readonly string[]): Permissions {
  const { user, name } = OPERATOR;
  return {
    user,
    publish: ['$JS.API.INFO', ...mayLook, ...services.map((service) => `owner.${service}.*`)],
    subscribe: [`_INBOX.${name}.>`],
  };
}

function says({ journals, publishes }: ServiceDescription): string[] {
  return publishes.map(({ stream, aggregate, key = '*' }) => {
    const service = journals.find((journal) => journal.stream === stream)?.service;
    return `${service}.event.*.${aggregate}.${key}`;
  });
}

/** Who starts first makes what is not there. What is there can't be changed by it. */
function mayMake(stream: string): string[] {
  return [`$JS.API.STREAM.INFO.${stream}`, `$JS.API.STREAM.CREATE.${stream}`];
}

function mayRead(stream: string): string[] {
  return [
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.API.CONSUMER.LIST.${stream}`,
  ];
}

/** Consumers of a service's own names, on the streams that they listen to. */
function mayConsume(consumer: ConsumerDescription): string[] {
  const streams = unique(consumer.sources.map(({ stream }) => stream));
  const durable = namesOf(consumer).flatMap((name) => allPartitions.map((partition) => `${name}-${partition}`));
  const counting = consumer.kind === 'projection' ? versionsOf(consumer.name).map(counterOf) : [];
  const claims = consumer.kind === 'reaction' ? durable.map((name) => `$KV.${CLAIMS_BUCKET}.${name}`) : [];
  return [
    ...claims,
    // CREATE, INFO, RESET, DELETE, PAUSE, UNPIN: of a consumer of this name, and nothing else has so many tokens.
    ...streams.flatMap((stream) => [...durable, ...counting].map((name) => `$JS.API.CONSUMER.*.${stream}.${name}`)),
    // Nobody else's consumer has such a name, on any stream.
    ...durable.flatMap((name) => [`$JS.API.CONSUMER.MSG.NEXT.*.${name}`, `$JS.ACK.*.${name}.>`]),
  ];
}

/** Letters of its own. What it takes away of them the broker can't tell from what it takes away of others' (decision 22). */
function mayPark(consumer: ConsumerDescription): string[] {
  return [
    ...namesOf(consumer).flatMap((name) => [`dead.${name}.*.*`, `dead.${name}.*.*.tried`]),
    `$JS.API.STREAM.MSG.GET.${DEAD_LETTERS}`,
    `$JS.API.STREAM.PURGE.${DEAD_LETTERS}`,
  ];
}

/** Of a key that is made: one that is there can be written over by nobody. */
function keySubject(id: string): string {
  return `$KV.${PERSONAL_DATA_BUCKET}.${id}`;
}

const mayLook = [
  '$JS.API.STREAM.LIST',
  '$JS.API.STREAM.NAMES',
  '$JS.API.STREAM.INFO.*',
  '$JS.API.STREAM.MSG.GET.*',
  '$JS.API.DIRECT.GET.*',
  '$JS.API.DIRECT.GET.*.>',
  '$JS.API.CONSUMER.LIST.*',
  '$JS.API.CONSUMER.NAMES.*',
  '$JS.API.CONSUMER.INFO.*.*',
];

function mayOversee(name: string): string[] {
  return [...mayLook, 'owner.*.*', 'views.*', `ended.${name}.*`, ...mayDestroyKeys];
}

const mayDestroyKeys = [
  keySubject('*.*.destroyed'),
  `$JS.API.STREAM.MSG.DELETE.${KEYS}`,
  // Of a bucket that was made by an older program: to close it, and where it lets no single message be deleted.
  `$JS.API.STREAM.UPDATE.${KEYS}`,
  `$JS.API.STREAM.PURGE.${KEYS}`,
  KEYS_DESTROYED_SUBJECT,
];

/** Names of its consumers, without the partition: of a view one for each slot, of the version before too. */
function namesOf({ name, kind }: ConsumerDescription): string[] {
  if (kind === 'reaction') return [name];
  return versionsOf(name).flatMap((version) =>
    BUILD_SLOTS.map((slot) => (slot === 1 ? version : `${version}_b${slot}`)),
  );
}

/** While a program is replaced, the one before still follows the version before. */
function versionsOf(name: string): string[] {
  const [, view, version] = /^(.+_v)(\d+)$/.exec(name) ?? [];
  return Number(version) > 1 ? [name, `${view}${Number(version) - 1}`] : [name];
}

function unique(subjects: readonly string[]): string[] {
  return [...new Set(subjects)];
}

import { type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { partitionOf } from '#kit/partitions.ts';
import type { ServiceDescription } from '#kit/service-descriptions.ts';

/** Something that one may try at the broker: what it is, and the subject that does it. */
type Attempt = { what: string; subject: string };

export type Attempts = { publish: Attempt[]; subscribe: Attempt[] };

const KEY = 'some-key';
/** By both subjects that the broker takes for it. */
const CREATE = ['CREATE', 'DURABLE.CREATE'];

/** What belongs to a service: what the service itself has to do, and nobody else may. */
export function belongingTo(description: ServiceDescription): Attempts {
  const { service, publishes, journals, consumers } = description;
  const publish: Attempt[] = [];
  const add = (what: string, ...subjects: string[]) =>
    publish.push(...subjects.map((subject) => ({ what: `${what} of ${service}`, subject })));
  for (const { stream, aggregate, key = KEY } of publishes) {
    const prefix = journals.find((journal) => journal.stream === stream)?.service;
    add('say an event', `${prefix}.event.${partitionOf(key)}.${aggregate}.${key}`);
  }
  for (const { name, kind, sources } of consumers) {
    const consumer = `${name}-3`;
    for (const { stream } of sources) {
      for (const verb of ['CREATE', 'INFO', 'RESET', 'DELETE', 'MSG.NEXT'])
        add(`consumer ${verb}`, `$JS.API.CONSUMER.${verb}.${stream}.${consumer}`);
      add('acknowledge a message', `$JS.ACK.${stream}.${consumer}.1.2.3.4.5`);
    }
    add('park a message', `dead.${name}.3.${KEY}`, `dead.${name}.3.${KEY}.tried`);
    if (kind === 'reaction') add('claim a consumer', `$KV.consumer-claims.${consumer}`);
  }
  add('write the description', `$KV.services.${service}`);
  add('give a heartbeat', `$KV.partition-owners.${service}.member`);
  add('note how far consumers are', `$KV.consumer-floors.${service}.3`);
  add('answer to one that asks', `_INBOX.${service}.asked`);
  const subscribe = [
    { what: `read answers to ${service}`, subject: `_INBOX.${service}.>` },
    { what: `take requests to ${service}`, subject: `views.${service}` },
    { what: `answer for a member of ${service}`, subject: `owner.${service}.*` },
    ...consumers.map(({ name }) => ({ what: `take requests to ${name}`, subject: `owner.${name}.*` })),
  ];
  return { publish, subscribe };
}

/** What whoever looks after a service asks of it, and nobody else may: to show, replay and discard. */
export function requestsTo({ service, consumers }: ServiceDescription): Attempt[] {
  const owners = consumers.map(({ name }) => `owner.${name}.3`);
  return [`views.${service}`, ...owners].map((subject) => ({ what: `ask ${service}`, subject }));
}

/** What only who looks after all services may do. */
export const overseeing: readonly Attempt[] = [
  '$JS.API.STREAM.LIST',
  '$JS.API.STREAM.NAMES',
  '$JS.API.CONSUMER.NAMES.ORDERS',
  'ended.operations.asked',
  'personal-data.destroyed',
].map((subject) => ({ what: 'look after all', subject }));

/** What only those may do with a stream who listen to it or speak there; by consumers of their own names too. */
export function readingOf(stream: string, consumer: string): Attempts {
  const journal = stream.toLowerCase();
  const publish = [
    ...['STREAM.INFO', 'STREAM.CREATE', 'STREAM.MSG.GET', 'DIRECT.GET', 'CONSUMER.LIST'].map(
      (verb) => `${verb}.${stream}`,
    ),
    `DIRECT.GET.${stream}.${journal}.event.3.order.${KEY}`,
    `CONSUMER.CREATE.${stream}.${consumer}`,
    `CONSUMER.DURABLE.CREATE.${stream}.${consumer}`,
  ];
  const subscribe = [`live.${journal}.event.3.order.${KEY}`, `live.${journal}.event.*.*.*`, `live.${journal}.>`];
  return {
    publish: publish.map((subject) => ({ what: `read ${stream}`, subject: `$JS.API.${subject}` })),
    subscribe: subscribe.map((subject) => ({ what: `follow ${stream}`, subject })),
  };
}

/** What no service may do, on any stream, its own included. */
export function forbidden(streams: readonly string[]): Attempts {
  const perStream = (stream: string): string[] => [
    ...['UPDATE', 'DELETE', 'MSG.DELETE', 'SNAPSHOT', 'RESTORE', 'LEADER.STEPDOWN'].map(
      (verb) => `$JS.API.STREAM.${verb}.${stream}`,
    ),
    // What takes dead letters away is the one purge that there is.
    ...(stream === 'DEAD_LETTERS' ? [] : [`$JS.API.STREAM.PURGE.${stream}`]),
    ...CREATE.map((verb) => `$JS.API.CONSUMER.${verb}.${stream}.stranger`),
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.stranger.${stream.toLowerCase()}.>`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.stranger`,
    `$JS.API.STREAM.PEER.REMOVE.${stream}`,
  ];
  return {
    publish: [
      ...streams.flatMap(perStream).map((subject) => ({ what: 'reach for a stream', subject })),
      ...[
        '$JS.API.STREAM.CREATE.STRANGER',
        '$JS.API.META.LEADER.STEPDOWN',
        '$JS.API.SERVER.REMOVE',
        '$JS.API.ACCOUNT.PURGE.STREAMS',
        '$JS.API.ACCOUNT.STREAM.MOVE.STREAMS.ORDERS',
        '$SYS.REQ.SERVER.PING',
        '$SYS.REQ.ACCOUNT.STREAMS.CONNZ',
      ].map((subject) => ({ what: 'reach for the broker', subject })),
      ...streams.map((stream) => ({
        what: 'say something live',
        subject: `live.${stream.toLowerCase()}.event.3.order.${KEY}`,
      })),
      ...['_INBOX.answer', 'stranger', '$KV.services', '$KV.stranger.key'].map((subject) => ({
        what: 'say something anywhere',
        subject,
      })),
    ],
    subscribe: [
      '>',
      '*.>',
      '_INBOX.>',
      '_INBOX.*.*',
      '$JS.>',
      '$JS.API.>',
      '$KV.>',
      '*.event.>',
      'orders.event.3.order.*',
      'live.>',
      'dead.>',
      'owner.>',
      '$SYS.>',
    ].map((subject) => ({ what: 'listen to everything', subject })),
  };
}

/** Makes all attempts; answers with the subjects of those that the broker refused. */
export async function refusedOf(connection: NatsConnection, { publish, subscribe }: Attempts): Promise<Set<string>> {
  const refused = new Set<string>();
  const listening = new AbortController();
  const status = connection.status();
  const noting = (async () => {
    for await (const each of status) {
      if (each.type === 'error' && each.error instanceof PermissionViolationError) {
        refused.add(`${each.error.operation} ${each.error.subject}`);
      }
      if (listening.signal.aborted) return;
    }
  })();
  void noting;
  for (const { subject } of publish) connection.publish(subject);
  for (const { subject } of subscribe) connection.subscribe(subject, { callback: () => {} });
  // The broker answers in the order in which it is asked.
  await connection.flush();
  await new Promise((resolve) => setImmediate(resolve));
  listening.abort();
  return refused;
}

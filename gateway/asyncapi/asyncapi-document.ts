import { EventKind } from '#gen/causeway/events/v1/options_pb.js';
import type { EventContract } from '#gen/causeway/operations/v1/log_pb.js';
import type { Contracts } from '#kit/contracts.ts';
import { Header } from '#kit/event.ts';
import { allPartitions } from '#kit/partitions.ts';
import { eventHeaders } from './event-headers.ts';
import { type JsonSchema, PayloadSchemas } from './payload-schemas.ts';

const KINDS: Record<EventKind, { name: string; description: string }> = {
  [EventKind.UNSPECIFIED]: { name: 'unspecified', description: 'Not said.' },
  [EventKind.DOMAIN]: { name: 'domain', description: "A fact in one service's journal." },
  [EventKind.INTEGRATION]: { name: 'integration', description: 'Published language for systems outside the platform.' },
  [EventKind.NOTIFICATION]: { name: 'notification', description: 'Fire and forget, kept for a day at most.' },
};

const HEADERS = 'EventHeaders';

type Part = Record<string, unknown>;

/** The events' catalogue as an AsyncAPI 3.0.0 document. */
export function asyncApiDocument(events: readonly EventContract[], contracts: Contracts): object {
  const schemas = new PayloadSchemas(contracts);
  const messages = Object.fromEntries(events.map((event) => [event.type, messageOf(event, schemas)]));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Causeway events',
      version: '1.0.0',
      description:
        'What the services of Causeway say, and who listens. Bodies are protobuf; the schemas here describe their ' +
        'JSON form (protobuf JSON mapping), as every door of the platform shows it. A field at its default is left ' +
        'out. Fields with `x-personal` are stored encrypted, in the field with `x-sealed`.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      tags: [...new Set(events.map(({ kind }) => kind))].map((kind) => KINDS[kind]),
    },
    defaultContentType: 'application/protobuf',
    servers: {
      broker: {
        host: '{host}:{port}',
        protocol: 'nats',
        description: 'NATS JetStream; each channel is stored in a stream, and republished under `live.` when it is.',
        variables: { host: { default: 'localhost' }, port: { default: '4222' } },
      },
    },
    channels: channelsOf(events),
    operations: { ...sendsOf(events), ...receivesOf(events) },
    components: { messages, schemas: { [HEADERS]: eventHeaders, ...schemas.all } },
  };
}

function messageOf({ type, version, kind, description, example }: EventContract, schemas: PayloadSchemas): Part {
  return {
    name: type,
    title: shortName(type),
    ...(description === '' ? {} : { summary: description }),
    contentType: 'application/protobuf',
    tags: [{ name: KINDS[kind].name }],
    headers: { $ref: `#/components/schemas/${HEADERS}` },
    correlationId: { location: `$message.header#/${Header.correlation}` },
    payload: schemas.of(type) satisfies JsonSchema,
    examples: [{ name: shortName(type), payload: JSON.parse(example) }],
    'x-version': version,
  };
}

/** One for each kind of aggregate in a stream. What is said by nobody yet is in none. */
function channelsOf(events: readonly EventContract[]): Record<string, Part> {
  return Object.fromEntries(
    [...Map.groupBy(events.filter(isSaid), channelOf)].map(([channel, said]) => [
      channel,
      {
        address: withParameters(said[0]?.subject ?? ''),
        title: channel,
        description: `Stream ${said[0]?.stream}: events of ${said[0]?.publisher}.`,
        servers: [{ $ref: '#/servers/broker' }],
        parameters: {
          partition: {
            description: 'FNV-1a (32 bit) of the key, modulo the number of partitions.',
            enum: allPartitions.map(String),
          },
          key: { description: "The aggregate's key, such as an order's id: 1 to 64 letters, digits, `_` and `-`." },
        },
        messages: Object.fromEntries(
          said.map(({ type }) => [shortName(type), { $ref: `#/components/messages/${type}` }]),
        ),
        'x-stream': said[0]?.stream,
      },
    ]),
  );
}

function sendsOf(events: readonly EventContract[]): Record<string, Part> {
  const bySender = Map.groupBy(events.filter(isSaid), (event) => `${event.publisher}-sends-${channelOf(event)}`);
  return Object.fromEntries([...bySender].map(([name, said]) => [name, operationOf('send', said, said[0]?.publisher)]));
}

function receivesOf(events: readonly EventContract[]): Record<string, Part> {
  const heard = events.filter(isSaid).flatMap((event) => event.consumers.map((consumer) => ({ event, consumer })));
  const byReceiver = Map.groupBy(heard, ({ event, consumer }) => `${consumer.name}-receives-${channelOf(event)}`);
  return Object.fromEntries(
    [...byReceiver].map(([name, pairs]) => {
      const consumer = pairs[0]?.consumer;
      const said = pairs.map(({ event }) => event);
      const kind = consumer?.isProjection ? 'projection' : 'reaction';
      return [
        name,
        { ...operationOf('receive', said, consumer?.service), 'x-consumer': consumer?.name, 'x-kind': kind },
      ];
    }),
  );
}

function operationOf(action: 'send' | 'receive', events: readonly EventContract[], service = ''): Part {
  const channel = events[0] === undefined ? '' : channelOf(events[0]);
  return {
    action,
    title: `${service} ${action}s ${channel}`,
    channel: { $ref: `#/channels/${channel}` },
    messages: events.map(({ type }) => ({ $ref: `#/channels/${channel}/messages/${shortName(type)}` })),
    'x-service': service,
  };
}

function isSaid({ subject }: EventContract): boolean {
  return subject !== '';
}

/** `ORDERS.order` of `orders.event.*.order.*`. */
function channelOf({ stream, subject }: EventContract): string {
  return `${stream}.${subject.split('.')[3]}`;
}

/** The wildcards of a subject, first the partition, then the key. */
function withParameters(subject: string): string {
  return subject.replace('*', '{partition}').replace('*', '{key}');
}

function shortName(type: string): string {
  return type.slice(type.lastIndexOf('.') + 1);
}

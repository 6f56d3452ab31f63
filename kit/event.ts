import {
  create,
  type DescFile,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import type { MsgHdrs } from '@nats-io/transport-node';
import { EventKind, event as eventOption } from '#gen/causeway/events/v1/options_pb.js';
import { PermanentError } from './errors.ts';
import { MessageHeaders } from './message-headers.ts';
import { parseSubject } from './partitions.ts';
import { hasPersonalData, type Keys, unsealedAtBest } from './personal-data.ts';

/** What is known of an event beside what it says. In headers on the wire: CloudEvents 1.0, NATS binary mode. */
export type EventContext = {
  /** Unique; the same for the same cause, so that a repeat can be told. */
  id: string;
  /** Full name of the message type: a wire name, never a class name. */
  type: string;
  /** The service that said it. */
  source: string;
  /** The aggregate's key. */
  key: string;
  /** When it was decided. */
  time: Date;
  /** Version of the aggregate that it made, from 1. */
  version: number;
  correlationId: string;
  /** Id of the event or request that led to it. */
  causationId: string;
  /** Who caused it: the subject of a token, or a service. */
  actor: string;
  /** W3C trace context of the publisher. */
  traceparent: string;
  tracestate: string;
  /** How many attempts its cause took to be handled; left out: one, or that is not known. */
  attempts?: number;
};

/** Where an event stands. */
type EventPlace = { stream: string; partition: number; sequence: number; subject: string };

/** An event as it was read from a journal, with its personal data in the clear. */
export type RecordedEvent<Data extends Message = Message> = EventContext &
  EventPlace & {
    data: Data;
    /** Of the customer whose personal data it has; empty where it has none. Once it is destroyed, so is the data. */
    keyId: string;
    /** Which attempt of a reaction to handle it this is, from 1. */
    attempt?: number;
  };

export const Header = {
  id: 'ce-id',
  source: 'ce-source',
  specVersion: 'ce-specversion',
  type: 'ce-type',
  time: 'ce-time',
  subject: 'ce-subject',
  contentType: 'content-type',
  correlation: 'ce-correlationid',
  causation: 'ce-causationid',
  actor: 'ce-actor',
  version: 'ce-version',
  dataSchema: 'ce-dataschema',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  state: 'Causeway-State',
  stateVersion: 'Causeway-State-Version',
  key: 'Causeway-Key',
  attempts: 'Causeway-Attempts',
} as const;

/** Turns what an older type says into what is said today. */
export type Upcaster = { from: DescMessage; to: DescMessage; upcast: (old: Message) => Message };

/** Declares an upcaster with its types checked. */
export function upcaster<From extends DescMessage, To extends DescMessage>(
  from: From,
  to: To,
  upcast: (old: MessageShape<From>) => MessageInitShape<To>,
): Upcaster {
  return { from, to, upcast: (old) => create(to, upcast(old as MessageShape<From>)) as Message };
}

/** All messages of a contract file that are marked as events. */
export function eventsIn(file: DescFile): DescMessage[] {
  return file.messages.filter((type) => hasOption(type, eventOption));
}

/** The event types that a reader knows, by wire name, with the ways from old types to today's. */
export class EventTypes {
  readonly #types = new Map<string, DescMessage>();
  readonly #upcasters = new Map<string, Upcaster>();

  constructor(types: readonly DescMessage[], upcasters: readonly Upcaster[] = []) {
    for (const type of [...types, ...upcasters.map(({ from }) => from)]) {
      if (!hasOption(type, eventOption) || getOption(type, eventOption) === EventKind.UNSPECIFIED) {
        throw new Error(`${type.typeName} is not marked as an event in its contract`);
      }
      this.#types.set(type.typeName, type);
    }
    for (const each of upcasters) {
      if (!this.#types.has(each.to.typeName)) {
        throw new Error(`${each.from.typeName} would become ${each.to.typeName}, which is not read here`);
      }
      this.#upcasters.set(each.from.typeName, each);
    }
  }

  names(): string[] {
    return [...this.#types.keys()];
  }

  /** Whether any of them has something sealed in it. */
  holdPersonalData(): boolean {
    return [...this.#types.values()].some(hasPersonalData);
  }

  knows(name: string): boolean {
    return this.#types.has(name);
  }

  /** The type of this wire name. @throws PermanentError where it is unknown. */
  type(name: string): DescMessage {
    const type = this.#types.get(name);
    if (type === undefined) throw new PermanentError(`unknown event type ${JSON.stringify(name)}`);
    return type;
  }

  /** What an event of any age says, in today's type. */
  upcast(data: Message): Message {
    let current = data;
    for (let step = this.#upcasters.get(current.$typeName); step; step = this.#upcasters.get(current.$typeName)) {
      current = step.upcast(current);
    }
    return current;
  }
}

/** A message as the broker hands it over, by whatever way it was read. */
export type StoredMessage = { subject: string; sequence: number; stream: string; data: Uint8Array; headers: MsgHdrs };

/** The headers of an event. Those of its state and key are added by who knows them. */
export function eventHeaders(context: EventContext): MsgHdrs {
  const head = new MessageHeaders();
  head.append(Header.specVersion, '1.0');
  head.append(Header.id, context.id);
  head.append(Header.source, `/causeway/${context.source}`);
  head.append(Header.type, context.type);
  head.append(Header.time, context.time.toISOString());
  head.append(Header.subject, context.key);
  head.append(Header.contentType, 'application/protobuf');
  head.append(Header.dataSchema, `/proto/${context.type}`);
  head.append(Header.version, String(context.version));
  head.append(Header.correlation, toHeader(context.correlationId));
  head.append(Header.causation, toHeader(context.causationId));
  head.append(Header.actor, toHeader(context.actor));
  if (context.traceparent !== '') head.append(Header.traceparent, context.traceparent);
  if (context.tracestate !== '') head.append(Header.tracestate, context.tracestate);
  if ((context.attempts ?? 1) > 1) head.append(Header.attempts, String(context.attempts));
  return head;
}

/** What a caller may choose freely, as CloudEvents 1.0 writes it in headers (HTTP binding, 3.1.3.2). */
function toHeader(value: string): string {
  return value.toWellFormed().replaceAll(/[^!#$&-~]+/g, encodeURIComponent);
}

function fromHeader(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    // Written by somebody else, who did not encode it.
    return value;
  }
}

/** The correlation id of an event, without reading it. */
export function correlationOf({ headers: head }: StoredMessage): string {
  return fromHeader(head.get(Header.correlation));
}

/** Who caused an event, and by what, without reading it. */
export function causeOf({ headers: head }: StoredMessage): { actor: string; causationId: string } {
  return { actor: fromHeader(head.get(Header.actor)), causationId: fromHeader(head.get(Header.causation)) };
}

/** What contracts have room for; what says more was written by somebody else. */
const MOST_ATTEMPTS = 2 ** 32 - 1;

/** How many attempts the cause of an event took to be handled; 0: one, or that is not known. */
export function attemptsOf({ headers: head }: StoredMessage): number {
  const attempts = Number(head.get(Header.attempts));
  return Number.isInteger(attempts) && attempts > 0 && attempts <= MOST_ATTEMPTS ? attempts : 0;
}

/** The aggregate's version that an event made. @throws PermanentError for a message that does not say. */
export function versionOf({ headers: head, subject }: StoredMessage): number {
  const version = Number(head.get(Header.version));
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new PermanentError(`${subject}: ${Header.version} is not a version`);
  }
  return version;
}

/**
 * Reads an event back: decodes it, opens what is sealed, and brings it to today's type.
 * @throws PermanentError for a message that is no event of these types, or can't be decoded.
 */
export async function readEvent(message: StoredMessage, types: EventTypes, keys: Keys): Promise<RecordedEvent> {
  return readEventAtBest(message, types, keys);
}

/** The same, at once where the key of what is sealed is at hand. Throws or rejects. */
export function readEventAtBest(
  message: StoredMessage,
  types: EventTypes,
  keys: Keys,
): RecordedEvent | Promise<RecordedEvent> {
  const parts = parseSubject(message.subject);
  if (parts === undefined) throw new PermanentError(`${message.subject} is not the subject of an event`);
  const header = (name: string) => message.headers.get(name);
  const type = types.type(header(Header.type));
  const version = versionOf(message);
  const time = new Date(header(Header.time));
  if (Number.isNaN(time.getTime())) throw new PermanentError(`${Header.time} is not a time`);
  const event = (data: Message): RecordedEvent => ({
    id: header(Header.id),
    type: type.typeName,
    source: header(Header.source).replace('/causeway/', ''),
    key: parts.key,
    time,
    version,
    correlationId: correlationOf(message),
    ...causeOf(message),
    traceparent: header(Header.traceparent),
    tracestate: header(Header.tracestate),
    stream: message.stream,
    partition: parts.partition,
    sequence: message.sequence,
    subject: message.subject,
    data: types.upcast(data),
    keyId: header(Header.key),
    attempts: attemptsOf(message),
  });
  const data = unsealedAtBest(type, message.data, parts.key, header(Header.key), keys);
  return data instanceof Promise ? data.then(event) : event(data);
}

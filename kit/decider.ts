import { hash } from 'node:crypto';
import {
  create,
  type DescMessage,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { SpanKind } from '@opentelemetry/api';
import { LRUCache } from 'lru-cache';
import {
  type AggregateState,
  AggregateStateSchema,
  type HandledRequest,
  HandledRequestSchema,
} from '#gen/causeway/events/v1/aggregate_pb.js';
import { type Position, PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import { decoded } from './decoded.ts';
import { CallError, type Code } from './errors.ts';
import { EventTypes, eventHeaders, Header, readEvent, type StoredMessage, type Upcaster, versionOf } from './event.ts';
import { ConflictError, eventId, type Journal, waitAfterConflict } from './journal.ts';
import { partitionOf, subjectOf } from './partitions.ts';
import { type DataKey, hasPersonalData, type PersonalData, sealed, unsealed } from './personal-data.ts';
import { eventTypesOf, type Publisher } from './service-descriptions.ts';
import { aboutAggregate } from './telemetry/correlation.ts';
import { countCommand } from './telemetry/metrics.ts';
import { inSpan, type SpanWords, traceHeaders } from './telemetry/tracing.ts';

/** A command that may not be carried out now. Expected, and not an exception. */
export type Refusal = {
  refused: Extract<Code, 'INVALID_ARGUMENT' | 'NOT_FOUND' | 'ALREADY_EXISTS' | 'FAILED_PRECONDITION'>;
  /** UPPER_SNAKE_CASE, for programs. */
  reason: string;
  /** For people. */
  message: string;
  /** The field it is about, where it is about one. */
  field?: string;
};

/**
 * What an aggregate may do and how its events change it: pure functions, without a clock and without I/O.
 * `decide` returns the one event that the command makes, a refusal, or undefined where there is nothing left to do.
 */
export type Decider<Command, State, Event extends { type: string }> = {
  initialState: State;
  decide(command: Command, state: State): Event | Refusal | undefined;
  evolve(state: State, event: Event): State;
};

/** A decider with its place in a journal and its forms on the wire. */
export type Aggregate<Command, State, Event extends { type: string }, StateType extends DescMessage> = {
  /** Third token of its subjects, such as `order`. */
  name: string;
  decider: Decider<Command, State, Event>;
  /** The message type of each event, by the name that the decider uses. */
  events: { [Type in Event['type']]: DescMessage };
  /** From older event types to today's. */
  upcasters?: readonly Upcaster[];
  state: {
    type: StateType;
    /** To be raised with each change of the state's meaning: states of other versions are made anew from the history. */
    version: number;
    encode(state: State): MessageInitShape<StateType>;
    decode(message: MessageShape<StateType>): State;
  };
  /**
   * Whose personal data the aggregate holds, where its requests do not all say it (CommandRequest's dataOwner): they
   * follow from events that name no customer.
   */
  dataOwner?(state: State): string | undefined;
};

/** A command with everything that stands around it. */
export type CommandRequest<Command> = {
  /** The aggregate's key. */
  key: string;
  command: Command;
  /** The command makes the aggregate: it is not looked for first. */
  creates?: boolean;
  /** Who asks: the subject of a token, or a consumer's name. Request ids are unique per caller. */
  caller: string;
  /** The caller's id of the request; empty: it has none. */
  requestId: string;
  /** What a repeat of the request must equal, byte for byte. */
  content: Uint8Array;
  /** Whose personal data the aggregate holds, and the content too: the customer's id. */
  dataOwner?: string;
  correlationId: string;
  causationId: string;
  /** How many attempts the message that it follows from has taken; left out: it follows from none. */
  attempts?: number;
};

export type CommandResult<State> = {
  /** The aggregate's version after the command; of a repeat, the version that the first one led to. */
  version: number;
  position: Position;
  state: State;
  outcome: 'done' | 'repeated' | 'unchanged';
};

/** Attempts that lose against others before the caller is told ABORTED. */
const MAX_ATTEMPTS = 8;
/** Requests that an aggregate remembers beside the one that created it. */
const REMEMBERED_REQUESTS = 16;
/** All headers of a message end at 64 KiB. */
const MAX_STATE_HEADER_BYTES = 40 * 1024;
const CACHED_AGGREGATES = 4_096;

type Loaded<State> = {
  state: State;
  handled: HandledRequest[];
  version: number;
  sequence: number;
  /** Known to be the latest, because the stream's leader said so. Only then may anything but an append be decided on it. */
  certain: boolean;
};

/** What was appended, with the key that the state's personal data was sealed with, where it has any. */
type Cached<State> = Loaded<State> & { sealedWith: string | undefined };

/** Carries out commands on one kind of aggregate: load, decide, append, and again where another was first. */
export class CommandHandler<Command, State, Event extends { type: string }, StateType extends DescMessage> {
  readonly #journal: Journal;
  readonly #aggregate: Aggregate<Command, State, Event, StateType>;
  readonly #personalData: PersonalData;
  readonly #clock: () => Date;
  readonly #types: EventTypes;
  readonly #domainNames: Map<string, Event['type']>;
  readonly #cache = new LRUCache<string, Cached<State>>({ max: CACHED_AGGREGATES });

  constructor(
    journal: Journal,
    aggregate: Aggregate<Command, State, Event, StateType>,
    personalData: PersonalData,
    clock: () => Date = () => new Date(),
  ) {
    this.#journal = journal;
    this.#aggregate = aggregate;
    this.#personalData = personalData;
    this.#clock = clock;
    const types = Object.entries<DescMessage>(aggregate.events) as [Event['type'], DescMessage][];
    this.#types = new EventTypes(
      types.map(([, type]) => type),
      aggregate.upcasters,
    );
    this.#domainNames = new Map(types.map(([name, type]) => [type.typeName, name]));
  }

  /**
   * Carries out a command. The same request again gives the same answer and has no second effect.
   * @throws CallError ALREADY_EXISTS for a known request with other content; the refusal's code for a refusal;
   *   ABORTED when others were first too often.
   * @throws UnavailableError when the broker does not answer.
   */
  async handle(request: CommandRequest<Command>): Promise<CommandResult<State>> {
    aboutAggregate(this.#aggregate.name, request.key);
    try {
      const result = await this.#handle(request);
      countCommand(this.#aggregate.name, result.outcome);
      return result;
    } catch (error) {
      countCommand(this.#aggregate.name, error instanceof CallError ? error.code : 'failed');
      throw error;
    }
  }

  async #handle(request: CommandRequest<Command>): Promise<CommandResult<State>> {
    const subject = subjectOf(this.#journal.declaration.service, this.#aggregate.name, request.key);
    const key = request.dataOwner === undefined ? undefined : await this.#personalData.keyOf(request.dataOwner);
    const digest = key === undefined ? plainDigest(request.content) : key.digest(request.content);
    let loaded = await this.#loadToAppend(subject, request, key);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      let decision = this.#decide(request, digest, loaded);
      if (!loaded.certain && !('event' in decision)) {
        loaded = await this.#load(subject, request.key);
        decision = this.#decide(request, digest, loaded);
      }
      if (!('event' in decision)) return this.#answer(request.key, decision, loaded);
      try {
        const { event } = decision;
        const base = loaded;
        return await inSpan(`send ${this.#journal.stream}`, this.#spanWords(subject), () =>
          this.#append(subject, request, event, digest, key, base),
        );
      } catch (error) {
        this.#cache.delete(subject);
        if (!(error instanceof ConflictError)) throw error;
      }
      await waitAfterConflict(attempt);
      loaded = await this.#load(subject, request.key);
    }
    throw new CallError('ABORTED', 'others changed it at the same time, again and again', {
      reason: 'CONTENTION',
      retryAfterMs: 100,
    });
  }

  /** The events that it makes. */
  says(): ReturnType<Publisher['says']> {
    const { name: aggregate, events, state } = this.#aggregate;
    const sealsPersonalData = [...Object.values<DescMessage>(events), state.type].some(hasPersonalData);
    return { journal: this.#journal.declaration, aggregate, eventTypes: eventTypesOf(events), sealsPersonalData };
  }

  /** The aggregate as the stream's leader knows it; undefined where there is none. */
  async state(key: string): Promise<{ state: State; version: number; sequence: number } | undefined> {
    const loaded = await this.#load(subjectOf(this.#journal.declaration.service, this.#aggregate.name, key), key);
    return loaded.version === 0 ? undefined : loaded;
  }

  #decide(request: CommandRequest<Command>, digest: Uint8Array, loaded: Loaded<State>): Decision<Event> {
    const before = handledBefore(request, loaded.handled);
    if (before !== undefined) {
      return Buffer.compare(before.digest, digest) === 0
        ? { outcome: 'repeated', version: Number(before.version) }
        : { refusal: otherContent(request) };
    }
    const decided = this.#aggregate.decider.decide(request.command, loaded.state);
    if (decided === undefined) return { outcome: 'unchanged', version: loaded.version };
    return 'refused' in decided ? { refusal: decided } : { event: decided };
  }

  #answer(
    key: string,
    decision: Exclude<Decision<Event>, { event: Event }>,
    loaded: Loaded<State>,
  ): CommandResult<State> {
    if ('refusal' in decision) throw refusalError(decision.refusal);
    return {
      version: decision.version,
      position: this.#position(key, loaded.sequence),
      state: loaded.state,
      outcome: decision.outcome,
    };
  }

  async #append(
    subject: string,
    request: CommandRequest<Command>,
    event: Event,
    digest: Uint8Array,
    requestKey: DataKey | undefined,
    loaded: Loaded<State>,
  ): Promise<CommandResult<State>> {
    const type: DescMessage = this.#aggregate.events[event.type as Event['type']];
    const version = loaded.version + 1;
    const state = this.#aggregate.decider.evolve(loaded.state, event);
    const key = await this.#keyFor(state, requestKey);
    const handled = remember(loaded.handled, {
      caller: request.caller,
      requestId: request.requestId,
      digest,
      version: BigInt(version),
    });
    // The content is part of the cause: a request with the same id and other content is not the same one.
    const cause = JSON.stringify([request.caller, request.causationId, Buffer.from(digest).toString('base64')]);
    const id = eventId(subject, cause, type.typeName);
    const headers = eventHeaders({
      id,
      type: type.typeName,
      source: this.#journal.declaration.service,
      key: request.key,
      time: this.#clock(),
      version,
      correlationId: request.correlationId,
      causationId: request.causationId,
      actor: request.caller,
      attempts: request.attempts ?? 0,
      ...traceHeaders(),
    });
    if (key !== undefined) headers.set(Header.key, key.id);
    headers.set(Header.state, this.#encodeState(state, handled, request.key, key));
    headers.set(Header.stateVersion, String(this.#aggregate.state.version));
    const data = sealed(type, create(type, event as MessageInitShape<DescMessage>), request.key, key);
    const expectedSequence = loaded.sequence;
    const { sequence, found } = await this.#journal.append({ subject, data, headers, id, expectedSequence });
    if (found !== undefined) {
      // What it says of itself counts: it may have been decided on another state than this one.
      this.#cache.delete(subject);
      const stored = await this.#read(subject, request.key, found, false);
      const position = this.#position(request.key, Math.max(sequence, expectedSequence));
      return { version: stored.version, position, state: stored.state, outcome: 'repeated' };
    }
    const sealedWith = this.#stateKeyId(key);
    this.#cache.set(subject, { state, handled, version, sequence, certain: false, sealedWith });
    return { version, position: this.#position(request.key, sequence), state, outcome: 'done' };
  }

  #spanWords(subject: string): SpanWords {
    const attributes = () => ({
      'messaging.system': 'nats',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': this.#journal.stream,
      'messaging.nats.subject': subject,
    });
    return { kind: SpanKind.PRODUCER, attributes };
  }

  /** What an append may be based on: its expected sequence checks it. */
  async #loadToAppend(
    subject: string,
    request: CommandRequest<Command>,
    requestKey: DataKey | undefined,
  ): Promise<Loaded<State>> {
    const cached = this.#cache.get(subject);
    if (cached !== undefined) {
      // A state that was in the clear before its key was destroyed must not be sealed anew with the next key.
      const key = await this.#keyFor(cached.state, requestKey);
      if (cached.sealedWith === this.#stateKeyId(key)) return cached;
    }
    if (request.creates === true) return this.#nothing(false);
    return this.#read(subject, request.key, await this.#journal.last(subject), false);
  }

  async #load(subject: string, key: string): Promise<Loaded<State>> {
    return this.#read(subject, key, await this.#journal.lastForCertain(subject), true);
  }

  #nothing(certain: boolean): Loaded<State> {
    return { state: this.#aggregate.decider.initialState, handled: [], version: 0, sequence: 0, certain };
  }

  /** What a state and the event that made it are sealed with. */
  async #keyFor(state: State, requestKey: DataKey | undefined): Promise<DataKey | undefined> {
    const owner = requestKey === undefined ? this.#aggregate.dataOwner?.(state) : undefined;
    return owner === undefined ? requestKey : await this.#personalData.keyOf(owner);
  }

  #stateKeyId(key: DataKey | undefined): string | undefined {
    return hasPersonalData(this.#aggregate.state.type) ? key?.id : undefined;
  }

  async #read(subject: string, key: string, last: StoredMessage | undefined, certain: boolean): Promise<Loaded<State>> {
    if (last === undefined) return this.#nothing(certain);
    // Nothing is decided on top of a message that is no event of the aggregate.
    const version = versionOf(last);
    const wrapper = decoded(AggregateStateSchema, Buffer.from(last.headers.get(Header.state), 'base64'));
    const current = last.headers.get(Header.stateVersion) === String(this.#aggregate.state.version);
    return {
      state: current ? await this.#decodeState(wrapper, last, key) : await this.#replay(subject, last.sequence),
      handled: wrapper.handled,
      version,
      sequence: last.sequence,
      certain,
    };
  }

  async #decodeState(wrapper: AggregateState, last: StoredMessage, key: string): Promise<State> {
    const { type, decode } = this.#aggregate.state;
    const keyId = last.headers.get(Header.key);
    return decode((await unsealed(type, wrapper.state, key, keyId, this.#personalData)) as MessageShape<StateType>);
  }

  /** Makes the state anew from the whole history: only where it was stored by another version of the program. */
  async #replay(subject: string, upTo: number): Promise<State> {
    let state = this.#aggregate.decider.initialState;
    for (const message of await this.#journal.history(subject, upTo)) {
      const { data } = await readEvent(message, this.#types, this.#personalData);
      state = this.#aggregate.decider.evolve(state, this.#domainEvent(data));
    }
    return state;
  }

  #domainEvent(data: Message): Event {
    return { ...data, type: this.#domainNames.get(data.$typeName) } as unknown as Event;
  }

  #encodeState(state: State, handled: HandledRequest[], key: string, dataKey: DataKey | undefined): string {
    const { type, encode } = this.#aggregate.state;
    const wrapper = create(AggregateStateSchema, {
      state: sealed(type, create(type, encode(state)), key, dataKey),
      handled,
    });
    const header = Buffer.from(toBinary(AggregateStateSchema, wrapper)).toString('base64');
    if (header.length > MAX_STATE_HEADER_BYTES) {
      throw new RangeError(
        `the state of ${this.#aggregate.name} ${key} has ${header.length} bytes, at most ${MAX_STATE_HEADER_BYTES} fit`,
      );
    }
    return header;
  }

  #position(key: string, sequence: number): Position {
    return create(PositionSchema, {
      stream: this.#journal.stream,
      partition: partitionOf(key),
      sequence: BigInt(sequence),
    });
  }
}

type Decision<Event> = { event: Event } | { refusal: Refusal } | { outcome: 'repeated' | 'unchanged'; version: number };

/**
 * The earlier request that this one repeats. A request that creates is a repeat of the one that did, whatever its id:
 * it names the aggregate itself.
 */
function handledBefore<Command>(
  { caller, requestId, creates }: CommandRequest<Command>,
  handled: HandledRequest[],
): HandledRequest | undefined {
  if (creates === true && handled[0] !== undefined) return handled[0];
  if (requestId === '') return undefined;
  return handled.find((each) => each.requestId === requestId && each.caller === caller);
}

/** The request that created the aggregate is kept for ever, of the others the latest. */
function remember(
  handled: HandledRequest[],
  request: Omit<HandledRequest, '$typeName' | '$unknown'>,
): HandledRequest[] {
  const all = [...handled, create(HandledRequestSchema, request)];
  return all.length > REMEMBERED_REQUESTS + 1 ? [...all.slice(0, 1), ...all.slice(-REMEMBERED_REQUESTS)] : all;
}

function plainDigest(content: Uint8Array): Uint8Array {
  return hash('sha256', content, 'buffer').subarray(0, 16);
}

function otherContent<Command>(request: CommandRequest<Command>): Refusal {
  return {
    refused: 'ALREADY_EXISTS',
    reason: 'REQUEST_DIFFERS',
    message:
      request.requestId === ''
        ? `${request.key} exists already, made by a request with other content`
        : `request ${request.requestId} was made before, with other content`,
  };
}

function refusalError({ refused, reason, message, field }: Refusal): CallError {
  return new CallError(refused, message, {
    reason,
    ...(field === undefined ? {} : { violations: [{ field, description: message }] }),
  });
}

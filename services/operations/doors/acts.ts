import { randomUUID } from 'node:crypto';
import type { Message } from '@bufbuild/protobuf';
import type { ParkedKeyTaken } from '#gen/causeway/operations/v1/events_pb.js';
import type { DeadLetterDesk, Letter, Row, RowFilter } from '#kit/dead-letter-desk.ts';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError, UnavailableError } from '#kit/errors.ts';
import type { Call } from '#kit/rpc/call.ts';
import type { Logger } from '#kit/telemetry/logging.ts';
import { uuidsIn } from '#kit/uuid.ts';
import type { Act, ActCommand, Place, Selection } from '../domain/act.ts';
import { parkedMessage } from './dead-letter-messages.ts';
import type { Pace } from './pace.ts';

/** Ids of acts (UUIDv5 of caller and request id). The namespace is fixed for ever. */
const actIdOf = uuidsIn('2b1c7a52-6a0e-5c0b-9a55-0d6f4b8f7e21');

/** Letters of each key that the record of an act names. */
const MAX_LISTED = 100;
const MAX_ERROR_LENGTH = 500;

/** What consumers have parked, and what their owners do with it. */
export type Desk = Pick<DeadLetterDesk, 'rows' | 'letter' | 'replay' | 'discard'>;

export type ParkedRow = Row & { count: number; first: Letter };

/** The letters of a row from a sequence on, at most so many. */
export type Letters = (row: Row, from: number, limit: number) => Promise<Letter[]>;

export type ActParts = {
  desk: Desk;
  letters: Letters;
  handle(request: CommandRequest<ActCommand>): Promise<CommandResult<Act>>;
  /** What the events of an act say, first to last. */
  record(actId: string): Promise<Message[]>;
  logger: Logger;
};

/** What is asked for, and by whom. */
export type Asked = {
  call: Call;
  requestId: string;
  /** What a repeat of the request must equal. */
  content: Uint8Array;
  selection: Selection;
  /** Why. */
  note: string;
  /** Waited for before each key. */
  pace?: Pace;
};

/** A key that an act has taken: as it was recorded, and as it is now; `now` is undefined where nothing is parked. */
export type Taken = {
  place: Place;
  now: ParkedRow | undefined;
  /** Messages that were parked when it was taken and are not any more: an earlier call was at work on it, and crashed. */
  gone: number;
};

/** What came of a key. */
type OutcomeOf = Place & { error: string };

/** What came of a key, and how far the act is. */
export type Progress<Outcome> = { outcome: Outcome; keysDone: number; keysTotal: number };

/** A kind of act: what it does to a key, and how it is recorded. */
export type ActKind<Outcome extends OutcomeOf> = {
  request(actId: string): ActCommand;
  carryOut(taken: Taken): Promise<Outcome>;
  note(actId: string, outcome: Outcome): ActCommand;
  /** A recorded outcome; undefined for other events. */
  recorded(event: Message): Outcome | undefined;
  /** Whether the same request may leave it at this outcome. */
  isDone(outcome: Outcome): boolean;
};

export function actIdFor({ call, requestId }: Pick<Asked, 'call' | 'requestId'>): string {
  return requestId === '' ? randomUUID() : actIdOf(`${call.caller.subject}\n${requestId}`);
}

/**
 * What operators do to dead letters. It is recorded before it is done, key by key, and so is what came of it. The same
 * request again gets the same answer, and goes on where the first one was interrupted: by a crash, or because its
 * caller went away.
 */
export class Acts {
  readonly #parts: ActParts;
  /** Acts at work in this process, by id: the same request, sent again meanwhile, waits for its turn. */
  readonly #atWork = new Map<string, Promise<void>>();

  constructor(parts: ActParts) {
    this.#parts = parts;
  }

  /** What was recorded of an earlier request with this id; empty where there was none. */
  async record({ call, requestId }: Asked): Promise<Message[]> {
    return requestId === '' ? [] : this.#parts.record(actIdFor({ call, requestId }));
  }

  /** Carries an act out, key by key. Where the caller goes away it ends after the key at work. */
  async *carryOut<Outcome extends OutcomeOf>(asked: Asked, kind: ActKind<Outcome>): AsyncGenerator<Progress<Outcome>> {
    const actId = actIdFor(asked);
    const release = await this.#turn(actId);
    try {
      const past = await this.#begin(asked, actId, kind);
      let { version } = past;
      const say = async (command: ActCommand) => {
        version = await this.#say(asked, actId, command, version);
      };
      const open = past.isEnded ? [] : await this.#open(asked.selection, past);
      const keysTotal = past.outcomes.length + open.length;
      let keysDone = 0;
      for (const outcome of past.outcomes) yield { outcome, keysDone: ++keysDone, keysTotal };
      if (past.isEnded) return;
      let isInterrupted = true;
      let isAllDone = true;
      try {
        for (const next of open) {
          await asked.pace?.(asked.call.signal);
          if (asked.call.signal.aborted) return;
          const outcome = await kind.carryOut(await this.#take(next, actId, say));
          await say(kind.note(actId, outcome));
          isAllDone &&= kind.isDone(outcome);
          yield { outcome, keysDone: ++keysDone, keysTotal };
        }
        isInterrupted = !isAllDone;
      } finally {
        await this.#end(actId, isInterrupted, say);
      }
    } finally {
      release();
    }
  }

  /** Waits until nobody in this process is at work on the act. Returns what lets the next one in. */
  async #turn(actId: string): Promise<() => void> {
    for (let before = this.#atWork.get(actId); before !== undefined; before = this.#atWork.get(actId)) await before;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#atWork.set(actId, promise);
    return () => {
      this.#atWork.delete(actId);
      resolve();
    };
  }

  /** Records what is asked for, or reads what an earlier call with the same request did. */
  async #begin<Outcome extends OutcomeOf>(asked: Asked, actId: string, kind: ActKind<Outcome>): Promise<Past<Outcome>> {
    const { outcome, state } = await this.#parts.handle({
      key: actId,
      command: kind.request(actId),
      creates: true,
      caller: asked.call.caller.subject,
      requestId: asked.requestId,
      content: asked.content,
      correlationId: asked.call.correlationId,
      causationId: asked.requestId === '' ? actId : asked.requestId,
    });
    if (outcome === 'done') return { outcomes: [], atWork: undefined, isEnded: false, version: 1 };
    const record = await this.#parts.record(actId);
    const outcomes = record.flatMap((event) => kind.recorded(event) ?? []).filter((each) => kind.isDone(each));
    const last = record.at(-1);
    const atWork = last?.$typeName === 'causeway.operations.v1.ParkedKeyTaken' ? (last as ParkedKeyTaken) : undefined;
    return { outcomes, atWork, isEnded: state.status === 'Ended', version: record.length };
  }

  /** The keys that are still to be done; one that was at work when an earlier call ended comes first. */
  async #open(selection: Selection, { outcomes, atWork }: Past<Place>): Promise<Next[]> {
    const done = new Set(outcomes.map(nameOf));
    const rows = await this.#parts.desk.rows(filterOf(selection));
    const others = rows.filter(
      (row) => !done.has(nameOf(row)) && (atWork === undefined || nameOf(row) !== nameOf(atWork)),
    );
    const next = others.map((now) => ({ place: placeOf(now), now, before: undefined }));
    if (atWork === undefined) return next;
    // It may not be in the selection any more, because its first letter is another one.
    const [now] = await this.#parts.desk.rows(placeOf(atWork));
    return [{ place: placeOf(atWork), now, before: atWork }, ...next];
  }

  async #take({ place, now, before }: Next, actId: string, say: Say): Promise<Taken> {
    if (before !== undefined) return { place, now, gone: goneOf(before, now) };
    const letters = await this.#parts.letters(place, 1, MAX_LISTED);
    await say({ type: 'TakeKey', actId, ...place, messages: now?.count ?? 0, listed: letters.map(parkedMessage) });
    return { place, now, gone: 0 };
  }

  /** What can't be recorded is no loss: the act stays open, and the same request goes on with it. */
  async #end(actId: string, interrupted: boolean, say: Say): Promise<void> {
    try {
      await say({ type: 'EndAct', actId, interrupted });
    } catch (error) {
      if (!interrupted) throw error;
      this.#parts.logger.warn({ err: error, actId }, 'an act ended unfinished, and its record does not say so');
    }
  }

  /** Returns the version of the act after it. Based on another version the same words are another event. */
  async #say({ call }: Asked, actId: string, command: ActCommand, version: number): Promise<number> {
    const words = JSON.stringify([version, command], (_, value) => (typeof value === 'bigint' ? String(value) : value));
    const said = await this.#parts.handle({
      key: actId,
      command,
      caller: call.caller.subject,
      requestId: '',
      content: Buffer.from(words),
      correlationId: call.correlationId,
      causationId: actId,
    });
    return said.version;
  }
}

type Say = (command: ActCommand) => Promise<void>;
type Past<Outcome> = {
  outcomes: Outcome[];
  atWork: ParkedKeyTaken | undefined;
  isEnded: boolean;
  /** Of the act, by what is on record. */
  version: number;
};
type Next = { place: Place; now: ParkedRow | undefined; before: ParkedKeyTaken | undefined };

/** Of the messages that were parked, those that are not any more. Exact for as many as the record names. */
function goneOf({ messages, listed }: ParkedKeyTaken, now: ParkedRow | undefined): number {
  if (now === undefined) return messages;
  return listed.filter(({ sequence }) => sequence < BigInt(now.first.sequence)).length;
}

export function placeOf({ consumer, partition, key }: Place): Place {
  return { consumer, partition, key };
}

function nameOf({ consumer, partition, key }: Place): string {
  return `${consumer} ${partition} ${key}`;
}

export function filterOf({ consumer, key, reason, eventType }: Selection): RowFilter {
  return {
    ...(consumer === '' ? {} : { consumer }),
    ...(key === '' ? {} : { key }),
    ...(reason === '' ? {} : { reason }),
    ...(eventType === '' ? {} : { eventType }),
  };
}

/**
 * What came of a key, or why nothing did: the others go on. Where nothing is parked any more, that is no error.
 * @throws what is no outcome, but a bug.
 */
export async function orWhyNot<Outcome>(
  carryOut: () => Promise<Outcome>,
  nothing: Outcome,
  failed: (error: string) => Outcome,
): Promise<Outcome> {
  try {
    return await carryOut();
  } catch (error) {
    if (error instanceof CallError && error.code === 'NOT_FOUND') return nothing;
    if (error instanceof CallError || error instanceof UnavailableError) {
      return failed(error.message.slice(0, MAX_ERROR_LENGTH));
    }
    throw error;
  }
}

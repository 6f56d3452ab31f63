import type { Message } from '@bufbuild/protobuf';
import { anyUnpack, type Timestamp } from '@bufbuild/protobuf/wkt';
import type {
  DeadLetterActEnded,
  DeadLetterDiscardRequested,
  DeadLetterReplayRequested,
  DeadLetterSelection,
  FulfilmentResolutionRequested,
  ParkedKeyDiscarded,
  ParkedKeyReplayed,
  ProjectionActRequested,
} from '#gen/causeway/operations/v1/events_pb.js';
import { ProjectionAct, Resolution } from '#gen/causeway/operations/v1/events_pb.js';
import type { LoggedEvent } from '#gen/causeway/operations/v1/log_pb.js';
import { eventRegistry } from '#gen/events.js';
import { counted, words } from '../../parts/words.ts';

/** What an operator did, as far as the events that were read tell it. */
export type Act = {
  id: string;
  /** In words, such as `Replayed`. */
  what: string;
  /** To what, in words. */
  about: string;
  who: string;
  at: Timestamp | undefined;
  why: string;
  wasEdited: boolean;
  keys: KeyOutcome[];
  end: 'none' | 'open' | 'ended' | 'interrupted';
  /** The event that says it. */
  stream: string;
  sequence: bigint;
};

type KeyOutcome = { consumer: string; key: string; text: string; error: string };

/** What operators did, the latest first, made of the events of their record, the newest first. */
export function actsOf(events: readonly LoggedEvent[]): Act[] {
  const acts = new Map<string, Act>();
  for (const event of events.toReversed()) {
    const said = event.data === undefined ? undefined : anyUnpack(event.data, eventRegistry);
    if (said === undefined) continue;
    const begun = begunAct(event, said);
    if (begun !== undefined) acts.set(begun.id, begun);
    else tell(acts.get(event.key), said);
  }
  return [...acts.values()].reverse();
}

type Words = Pick<Act, 'what' | 'about' | 'why'> & Partial<Act>;

function begunAct(event: LoggedEvent, said: Message): Act | undefined {
  const found = wordsOf(said);
  if (found === undefined) return undefined;
  const { stream, sequence, key, actor: who, time: at } = event;
  const isOfLetters = event.aggregate === 'act';
  const id = isOfLetters ? key : `${stream} ${sequence}`;
  return { id, who, at, wasEdited: false, keys: [], end: isOfLetters ? 'open' : 'none', stream, sequence, ...found };
}

function wordsOf(said: Message): Words | undefined {
  switch (said.$typeName) {
    case 'causeway.operations.v1.DeadLetterReplayRequested': {
      const { selection, note, edited } = said as DeadLetterReplayRequested;
      return { what: 'Replayed', about: selectionText(selection), why: note, wasEdited: edited.length > 0 };
    }
    case 'causeway.operations.v1.DeadLetterDiscardRequested': {
      const { selection, note, firstOnly } = said as DeadLetterDiscardRequested;
      return { what: 'Discarded', about: `${firstOnly ? 'first of ' : ''}${selectionText(selection)}`, why: note };
    }
    case 'causeway.operations.v1.FulfilmentResolutionRequested': {
      const { orderId, resolution, note } = said as FulfilmentResolutionRequested;
      return { what: 'Settled', about: `${orderId}: ${words(Resolution[resolution] ?? '').toLowerCase()}`, why: note };
    }
    case 'causeway.operations.v1.ProjectionActRequested': {
      const { service, view, act, build, reason } = said as ProjectionActRequested;
      const what = words(ProjectionAct[act] ?? '');
      return { what, about: `${service} ${view}${build > 0 ? `, build ${build}` : ''}`, why: reason };
    }
    default:
      return undefined;
  }
}

/** Adds what came of an act to it; what belongs to an act whose beginning was not read is left out. */
function tell(act: Act | undefined, said: Message): void {
  if (act === undefined) return;
  if (said.$typeName === 'causeway.operations.v1.ParkedKeyReplayed') {
    const { consumer, key, handled, remaining, error } = said as ParkedKeyReplayed;
    const parked = remaining > 0 ? `, ${remaining} still parked` : '';
    act.keys.push({ consumer, key, text: `${counted(handled, 'message')} handled${parked}`, error });
  } else if (said.$typeName === 'causeway.operations.v1.ParkedKeyDiscarded') {
    const { consumer, key, discarded, error } = said as ParkedKeyDiscarded;
    act.keys.push({ consumer, key, text: `${counted(discarded, 'message')} thrown away`, error });
  } else if (said.$typeName === 'causeway.operations.v1.DeadLetterActEnded') {
    act.end = (said as DeadLetterActEnded).interrupted ? 'interrupted' : 'ended';
  } else if (said.$typeName === 'causeway.operations.v1.ParkedKeyTaken') {
    // An interrupted one was gone on with.
    act.end = 'open';
  }
}

function selectionText(selection: DeadLetterSelection | undefined): string {
  const { consumer = '', key = '', reason = '', eventType = '', all = false } = selection ?? {};
  if (all) return 'all that was parked';
  return [consumer, key, words(reason).toLowerCase(), eventType.split('.').at(-1)].filter(Boolean).join(', ');
}

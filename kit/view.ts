import type { Message } from '@bufbuild/protobuf';
import type { IndexDescription } from 'mongodb';
import type { EventTypes, RecordedEvent } from './event.ts';
import { allPartitions } from './partitions.ts';
import type { JournalDeclaration } from './streams.ts';

/** Events of one kind of aggregate in one journal. */
export type EventSource = { journal: JournalDeclaration; aggregate: string };

/** What the runner keeps in each document beside what the projection put there. */
type Bookkeeping = {
  _id: string;
  /** Sequence of the last event applied, by stream: an event that comes again, or late, changes nothing. */
  applied: Record<string, number>;
  /**
   * Places (`<stream> <sequence>`) of the latest parked events that were applied after later ones, where a document
   * belongs to several keys: `applied` does not tell whether they were.
   */
  late?: string[];
  /** Rises with each write. A write that is based on another revision is made again. */
  revision: number;
  partition: number;
  /** Of the checkpoint that it belongs to. A document of an older one counts as not there. */
  generation: number;
  /** What sealed the personal data that was put into it; left out where there was none. */
  keys?: string[];
};

export type Stored<Document extends object> = Document & Bookkeeping;

/**
 * A view: documents made from events by a pure function. It may be dropped at any time and rebuilds itself.
 * Its documents, and its checkpoints beside them, stand in the collection `<name>_v<version>`; each build of it beside
 * the first has a collection of its own.
 */
export type View<Document extends object, Event extends Message = Message> = {
  name: string;
  /** To be raised with each change of what the projection makes. */
  version: number;
  sources: readonly EventSource[];
  types: EventTypes;
  /** The id of the document that an event belongs to; left out: the aggregate's key. */
  documentId?(event: RecordedEvent<Event>): string;
  /** Each event makes a document of its own, which no other event changes: it is written without looking for it. */
  appendOnly?: true;
  /** The document after the event; undefined: the event makes none, and leaves one that is there as it is. */
  project(document: Document | undefined, event: RecordedEvent<Event>): Document | undefined;
  indexes?: readonly IndexDescription[];
  /**
   * The document without what is personal, which is what the projection makes of events whose keys are destroyed. A
   * document holds what is personal of one customer. Left out: the view holds none, and is handed none; its events have
   * their personal fields empty.
   */
  erased?(document: Stored<Document>): Document;
  /** Field with the customer's id, where an older program wrote documents that do not say which keys they are of. */
  ownerField?: string & keyof Document;
};

/** Name of the collection that holds a build of a version of a view: `<name>_v<version>`, later `..._b<build>`. */
export function collectionOf(view: { name: string; version: number }, build = 1): string {
  return `${view.name}_v${view.version}${build === 1 ? '' : `_b${build}`}`;
}

/** How far a partition has come, by stream. Stands in the view's own collection: who drops the one drops the other. */
export type Checkpoint = {
  _id: string;
  positions: Record<string, number>;
  /** When this build of the partition was begun, in ms: the next one, after a drop, is of a later generation. */
  generation: number;
  /** Who raises it now. Whoever takes over puts itself here first, and so stops the one before. */
  owner: string;
};

export function checkpointId(partition: number): string {
  return `checkpoint:${partition}`;
}

export function checkpointIds(): string[] {
  return allPartitions.map(checkpointId);
}

import { BlankPageAddedSchema } from '#gen/causeway/blank_slate/v1/events_pb.js';
import { BlankPageStateSchema } from '#gen/causeway/blank_slate/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { journalOf } from '#kit/streams.ts';
import { type BlankPage, type BlankPageCommand, type BlankPageEvent, blankPage } from '../domain/blank-page.ts';

export const blankSlateJournal = journalOf('blank-slate');

/** A blank page's forms on the wire. */
export const blankPageAggregate: Aggregate<BlankPageCommand, BlankPage, BlankPageEvent, typeof BlankPageStateSchema> = {
  name: 'blank-page',
  decider: blankPage,
  events: { BlankPageAdded: BlankPageAddedSchema },
  state: {
    type: BlankPageStateSchema,
    version: 1,
    encode: (state) => (state.status === 'Added' ? { added: true, title: state.title } : {}),
    decode: ({ added, title }) => (added ? { status: 'Added', title } : { status: 'None' }),
  },
};

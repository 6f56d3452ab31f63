import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { BlankPageAddedSchema } from '#gen/causeway/blank_slate/v1/events_pb.js';
import { blankPageMessage, blankPagesView } from './blank-pages-view.ts';

type BlankPageEvent = Parameters<typeof blankPagesView.project>[1];

const time = new Date('2026-11-24T12:00:00Z');
const data = create(BlankPageAddedSchema, { blankPageId: 'id-1', customerId: 'alice', title: 'The first' });
const added = { data, time, version: 1 } as BlankPageEvent;

test('a blank page is whose it is, with its title', () => {
  expect(blankPagesView.project(undefined, added)).toEqual({
    customerId: 'alice',
    title: 'The first',
    addedAt: time,
    version: 1,
  });
});

test('the API shows a blank page as its document has it', () => {
  const document = { customerId: 'alice', title: 'The first', addedAt: time, version: 1 };
  const kept = { _id: 'id-1', applied: {}, revision: 1, partition: 0, generation: 1 };

  expect(blankPageMessage({ ...document, ...kept })).toMatchObject({
    blankPageId: 'id-1',
    customerId: 'alice',
    title: 'The first',
    version: 1n,
  });
});

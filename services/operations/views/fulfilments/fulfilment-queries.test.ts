import { expect, onTestFinished, test } from 'vitest';
import { FulfilmentStatus } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { connectDatabase } from '#kit/database.ts';
import { sharedMongoUri } from '#kit/testing/servers.ts';
import { collectionOf, type Stored } from '#kit/view.ts';
import { readerOf } from '#kit/view-reader.ts';
import { type FulfilmentFilter, listFulfilments } from './fulfilment-queries.ts';
import { type FulfilmentDocument, fulfilmentsView } from './fulfilments-view.ts';

const { WAITING_FOR_STOCK, WAITING_FOR_PAYMENT, COMPLETED } = FulfilmentStatus;
const statuses = [WAITING_FOR_STOCK, WAITING_FOR_PAYMENT, COMPLETED];

/** 30 fulfilments, three of each moment; those that wait have deadlines, the later the newer. */
async function filledView() {
  const { db, close } = connectDatabase(sharedMongoUri(), 'operations');
  onTestFinished(close);
  const collection = db.collection<Stored<FulfilmentDocument>>(collectionOf(fulfilmentsView));
  await collection.createIndexes([...(fulfilmentsView.indexes ?? [])]);
  const all = Array.from({ length: 30 }, (_, number) => {
    const status = statuses[number % 3] as FulfilmentStatus;
    const moment = 1_000_000 + Math.floor(number / 3);
    return {
      _id: `o-${String((number * 17) % 30).padStart(2, '0')}`,
      status,
      startedAt: new Date(moment),
      deadline: status === COMPLETED ? null : new Date(moment + 1_000),
    };
  });
  const unknown = { _id: 'o-98', status: FulfilmentStatus.UNSPECIFIED, startedAt: null, deadline: null };
  await collection.insertMany([...all, unknown].sort(() => Math.random() - 0.5) as never);
  await collection.insertOne({ _id: 'checkpoint:0', positions: {}, generation: 1, owner: '' } as never);
  const view = readerOf(collection);

  async function pages(filter: Partial<FulfilmentFilter>, pageSize: number): Promise<string[]> {
    const found: string[] = [];
    let token = '';
    do {
      const whole = { status: undefined, overdueAt: undefined, ...filter };
      const page = await listFulfilments(view, whole, pageSize, token);
      expect(page.fulfilments.length).toBeLessThanOrEqual(pageSize);
      found.push(...page.fulfilments.map(({ _id }) => _id));
      token = page.nextPageToken;
    } while (token !== '' && found.length < 200);
    return found;
  }
  const newestFirst = all.toSorted(
    (one, other) => other.startedAt.getTime() - one.startedAt.getTime() || (other._id < one._id ? -1 : 1),
  );
  return { view, pages, newestFirst };
}

const ids = (documents: readonly { _id: string }[]) => documents.map(({ _id }) => _id);

test('each is on one page, the newest first; checkpoints and what is not known yet are on none', async () => {
  const { pages, newestFirst } = await filledView();

  for (const pageSize of [1, 7, 30, 100]) expect(await pages({}, pageSize)).toEqual(ids(newestFirst));
  expect(await pages({ status: COMPLETED }, 4)).toEqual(ids(newestFirst.filter(({ status }) => status === COMPLETED)));
});

test('those that are overdue come with the longest overdue first, and none without a deadline', async () => {
  const { pages, newestFirst } = await filledView();
  const overdueAt = new Date(1_000_000 + 1_000 + 5);
  const overdue = newestFirst
    .filter(({ deadline }) => deadline !== null && deadline < overdueAt)
    .toSorted(
      (one, other) =>
        (one.deadline as Date).getTime() - (other.deadline as Date).getTime() || (one._id < other._id ? -1 : 1),
    );

  expect(overdue).toHaveLength(10);
  for (const pageSize of [1, 3, 100]) expect(await pages({ overdueAt }, pageSize)).toEqual(ids(overdue));
  expect(await pages({ overdueAt, status: WAITING_FOR_PAYMENT }, 2)).toEqual(
    ids(overdue.filter(({ status }) => status === WAITING_FOR_PAYMENT)),
  );
});

test('what is no token of a page is the fault of that field', async () => {
  const { view } = await filledView();

  for (const token of ['nonsense', Buffer.from('yesterday o-1').toString('base64url')]) {
    await expect(listFulfilments(view, { status: undefined, overdueAt: undefined }, 10, token)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { violations: [{ field: 'page_token' }] },
    });
  }
});

import { expect, onTestFinished, test } from 'vitest';
import { connectDatabase } from '#kit/database.ts';
import { sharedMongoUri } from '#kit/testing/servers.ts';
import { collectionOf, type Stored } from '#kit/view.ts';
import { readerOf } from '#kit/view-reader.ts';
import { type EmailContent, listNotifications, type NotificationFilter } from './notification-queries.ts';
import { type NotificationDocument, notificationsView } from './notifications-view.ts';

const anybody: NotificationFilter = { orderId: undefined, customerId: undefined };

/** 30 e-mails of two customers, three of each moment. */
async function filledView(contentLength: number) {
  const { db, close } = connectDatabase(sharedMongoUri(), 'notifications');
  onTestFinished(close);
  const collection = db.collection<Stored<NotificationDocument>>(collectionOf(notificationsView));
  await collection.createIndexes([...(notificationsView.indexes ?? [])]);
  const emails = Array.from({ length: 30 }, (_, number) => ({
    _id: `event-${(number * 7) % 30}`,
    orderId: `order-${number % 10}`,
    customerId: number % 4 === 0 ? 'bert' : 'anna',
    messageId: `<${number}>`,
    sentAt: new Date(1_000_000 + Math.floor(number / 3)),
    revision: 1,
  }));
  await collection.insertMany([...emails].sort(() => Math.random() - 0.5) as never);
  await collection.insertOne({ _id: 'checkpoint:0', positions: {}, generation: 1, owner: '' } as never);
  const contentsOf = async (ids: readonly string[]): Promise<Map<string, EmailContent>> =>
    new Map(ids.map((id) => [id, { text: id, html: 'x'.repeat(contentLength) }]));
  const newestFirst = emails.toSorted(
    (one, other) => other.sentAt.getTime() - one.sentAt.getTime() || (other._id < one._id ? -1 : 1),
  );

  async function pages(filter: NotificationFilter, pageSize: number): Promise<string[][]> {
    const found: string[][] = [];
    let token = '';
    do {
      const page = await listNotifications(readerOf(collection), contentsOf, filter, pageSize, token);
      expect(page.notifications.map(({ text }) => text)).toEqual(page.notifications.map(({ messageId }) => messageId));
      found.push(page.notifications.map(({ _id }) => _id));
      token = page.nextPageToken;
    } while (token !== '' && found.length < 100);
    return found;
  }
  return { newestFirst, pages };
}

test('every e-mail is on one page, the newest first', async () => {
  const { newestFirst, pages } = await filledView(10);
  for (const pageSize of [1, 7, 29, 30, 31]) {
    const found = await pages(anybody, pageSize);
    expect(found.flat()).toEqual(newestFirst.map(({ _id }) => _id));
    expect(found).toHaveLength(Math.ceil(30 / pageSize));
  }
});

test('a list has only what it was asked for', async () => {
  const { newestFirst, pages } = await filledView(10);
  for (const filter of [
    { orderId: 'order-3', customerId: undefined },
    { orderId: undefined, customerId: 'bert' },
    { orderId: 'order-4', customerId: 'bert' },
    { orderId: 'order-3', customerId: 'nobody' },
  ]) {
    const wanted = newestFirst.filter(
      (each) =>
        each.orderId === (filter.orderId ?? each.orderId) && each.customerId === (filter.customerId ?? each.customerId),
    );
    expect((await pages(filter, 4)).flat()).toEqual(wanted.map(({ _id }) => _id));
  }
});

test('a page ends before it is too large for an answer, and the next one goes on', async () => {
  const { newestFirst, pages } = await filledView(300_000);

  const found = await pages(anybody, 20);

  expect(found.flat()).toEqual(newestFirst.map(({ _id }) => _id));
  expect(Math.max(...found.map(({ length }) => length))).toBe(3);
});

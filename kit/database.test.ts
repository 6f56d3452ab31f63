import { expect, onTestFinished, test, vi } from 'vitest';
import { connectDatabase, databaseName, queried } from './database.ts';
import { UnavailableError } from './errors.ts';
import { ownMongodb, sharedMongoUri } from './testing/servers.ts';

const soon = { timeout: 20_000, interval: 20 };

test('each service has a database of its own under the address', () => {
  expect(databaseName('mongodb://127.0.0.1:27017', 'orders')).toBe('causeway_orders');
  expect(databaseName('mongodb://127.0.0.1:27017/shop', 'orders')).toBe('shop_orders');
  expect(databaseName('mongodb://a:1,b:2,c:3/shop?replicaSet=rs', 'orders')).toBe('shop_orders');
  expect(databaseName('mongodb+srv://user:secret@cluster.example.com/shop', 'orders')).toBe('shop_orders');
});

test('a process that starts before its database works once that is there', async () => {
  const mongodb = await ownMongodb();
  await mongodb.kill();
  const { db, close } = connectDatabase(mongodb.url, 'orders');
  onTestFinished(close);
  const things = db.collection('things');
  const find = () => queried(things, () => things.findOne());
  await expect(find()).rejects.toThrow(UnavailableError);
  await mongodb.restart();
  await vi.waitFor(async () => expect(await find()).toBeNull(), soon);
});

test('a client that is closed before it found its database ends', async () => {
  const mongodb = await ownMongodb();
  await mongodb.kill();
  await connectDatabase(mongodb.url, 'orders').close();
});

test('what is wrong with a query is not taken for an outage', async () => {
  const { db, close } = connectDatabase(sharedMongoUri(), 'orders');
  onTestFinished(close);
  const things = db.collection('things');
  await things.insertOne({});
  const wrong = queried(things, () => things.find({ $nonsense: 1 }).toArray());
  await expect(wrong).rejects.toThrow(/nonsense/);
  await expect(wrong).rejects.not.toThrow(UnavailableError);
});

import net, { type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { connectDatabase, databaseName, queried } from './database.ts';
import { UnavailableError } from './errors.ts';
import { startProxy } from './testing/proxy.ts';
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

test('a heartbeat that will never end, because its connection was being closed, keeps the database away for a while only', async () => {
  const sockets: Socket[] = [];
  const connect = net.createConnection;
  vi.spyOn(net, 'createConnection').mockImplementation(((...given: Parameters<typeof connect>) => {
    const socket = connect(...given);
    sockets.push(socket);
    return socket;
  }) as typeof connect);
  const network = await startProxy(sharedMongoUri());
  const { db, close } = connectDatabase(network.url, 'bank', { stuckMs: 3_000 });
  onTestFinished(async () => {
    vi.restoreAllMocks();
    await close();
    await network.close();
  });
  const things = db.collection('nothing');
  const find = () => queried(things, () => things.findOne());
  await find();
  // Each ends as it is written to. Its end is told a moment later, and the driver waits for something else.
  for (const socket of sockets.splice(0)) {
    const write = socket.write.bind(socket);
    socket.write = ((...given: Parameters<typeof write>) => {
      socket.destroy();
      return write(...given);
    }) as typeof write;
  }
  await expect(find()).rejects.toThrow(UnavailableError);
  await vi.waitFor(find, soon);
  // The heartbeat, which comes every 2 s, has been lost by now; then the database is away.
  await delay(2_500);
  network.hold('answers');
  const lost = expect(find()).rejects.toThrow(UnavailableError);
  await delay(100);
  network.cut();
  await lost;
  network.release('answers');

  await vi.waitFor(find, soon);
}, 40_000);

import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { beforeAll, expect, test } from 'vitest';
import { type OwnServer, openTestParts, ownMongodb, ownNats, sharedMongoUri } from './servers.ts';

const ofTheFile = await ownNats();
let ofAHook: OwnServer;

beforeAll(async () => {
  ofAHook = await ownNats();
});

test('a file, a hook and a test can each have a broker of its own', async () => {
  const ofATest = await ownNats();

  const connections = await Promise.all([ofTheFile, ofAHook, ofATest].map(({ url }) => connect({ servers: url })));

  expect(new Set(connections.map(({ info }) => info?.port)).size).toBe(3);
  await Promise.all(connections.map((connection) => connection.close()));
});

test('a broker that is stopped answers nothing until it goes on', async () => {
  const broker = await ownNats();
  const connection = await connect({ servers: broker.url });

  for (let round = 0; round < 20; round++) {
    await broker.kill('SIGSTOP');
    let answered = false;
    const flushed = connection.flush().then(() => {
      answered = true;
    });
    await delay(5);
    expect(answered).toBe(false);
    await broker.kill('SIGCONT');
    await flushed;
  }

  await connection.close();
});

test('a service opened for a test has a database that nobody else sees', async () => {
  const [mine, other] = await Promise.all([
    openTestParts('orders', { natsUrl: ofTheFile.url, mongodbUri: sharedMongoUri() }),
    openTestParts('orders', { natsUrl: ofTheFile.url, mongodbUri: sharedMongoUri() }),
  ]);

  await mine.db.collection('things').insertOne({});

  expect(await mine.db.collection('things').countDocuments()).toBe(1);
  expect(await other.db.collection('things').countDocuments()).toBe(0);
});

test('a database of its own has its data back after a crash', async () => {
  const mongodb = await ownMongodb();
  const parts = await openTestParts('orders', { natsUrl: ofTheFile.url, mongodbUri: mongodb.url });
  await parts.db.collection('things').insertOne({ name: 'kept' });

  await mongodb.kill();
  await mongodb.restart();

  expect(await parts.db.collection('things').findOne()).toMatchObject({ name: 'kept' });
});

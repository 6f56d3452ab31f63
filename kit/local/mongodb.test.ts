import fc from 'fast-check';
import { type Collection, type Document, type Filter, MongoBulkWriteError, MongoClient, type Sort } from 'mongodb';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { databaseName } from '#kit/database.ts';
import { ownMongodb, sharedMongoUri } from '#kit/testing/servers.ts';

/**
 * What the kit and the services ask of MongoDB, asked of whichever server the tests run on: the stand-in has to answer
 * like the real one.
 */

type Thing = Document & { _id: string };

const DUPLICATE_KEY = 11_000;

const uri = sharedMongoUri();
const client = new MongoClient(uri);
const db = client.db(databaseName(uri, 'things'));
afterAll(() => client.close());

let collections = 0;

function things(): Collection<Thing> {
  return db.collection<Thing>(`things_${++collections}`);
}

test('no increment is lost among many at the same time', async () => {
  const counters = things();
  await counters.insertOne({ _id: 'hot', count: 0 });

  await Promise.all(
    Array.from({ length: 200 }, () => counters.updateOne({ _id: 'hot' }, { $inc: { count: 1 }, $set: { seen: true } })),
  );

  expect(await counters.findOne({ _id: 'hot' })).toEqual({ _id: 'hot', count: 200, seen: true });
});

test('of many conditional updates that each take the last ones, no more match than there is stock', async () => {
  const items = things();
  await items.insertOne({ _id: 'beans', available: 7, applied: [] });

  const results = await Promise.all(
    Array.from({ length: 40 }, (_, reservation) =>
      items.updateOne(
        { _id: 'beans', available: { $gte: 2 }, applied: { $ne: `r${reservation}` } } as Filter<Thing>,
        { $inc: { available: -2 }, $push: { applied: `r${reservation}` } } as object,
      ),
    ),
  );

  expect(results.filter(({ modifiedCount }) => modifiedCount === 1)).toHaveLength(3);
  expect(await items.findOne({ _id: 'beans' })).toMatchObject({ available: 1, applied: { length: 3 } });
});

test('of many inserts of one id, one succeeds', async () => {
  const ids = things();

  const results = await Promise.allSettled(
    Array.from({ length: 40 }, (_, attempt) => ids.insertOne({ _id: 'one', attempt })),
  );

  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const result of results) {
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: DUPLICATE_KEY });
  }
});

test('of many upserts of one id, one inserts and the others update', async () => {
  const ids = things();

  const results = await Promise.all(
    Array.from({ length: 40 }, () =>
      ids.updateOne({ _id: 'one' }, { $inc: { count: 1 }, $setOnInsert: { first: true } }, { upsert: true }),
    ),
  );

  expect(results.filter(({ upsertedCount }) => upsertedCount === 1)).toHaveLength(1);
  expect(await ids.findOne()).toEqual({ _id: 'one', count: 40, first: true });
});

test('a replacement that is based on another revision matches nothing', async () => {
  const views = things();
  await views.insertOne({ _id: 'a', revision: 2, kept: true });

  const late = await views.replaceOne({ _id: 'a', revision: 1 } as Filter<Thing>, { revision: 2 } as unknown as Thing);
  const next = await views.replaceOne({ _id: 'a', revision: 2 } as Filter<Thing>, { revision: 3 } as unknown as Thing);

  expect([late.matchedCount, next.matchedCount]).toEqual([0, 1]);
  expect(await views.findOne({ _id: 'a' })).toEqual({ _id: 'a', revision: 3 });
});

test('an unordered bulk does what it can, and names the writes whose ids were taken', async () => {
  const views = things();
  await views.insertMany([
    { _id: 'taken-1', revision: 1 },
    { _id: 'taken-2', revision: 1 },
    { _id: 'old', revision: 5 },
  ]);

  const error = await views
    .bulkWrite(
      [
        { insertOne: { document: { _id: 'new-1', revision: 1 } } },
        {
          replaceOne: {
            filter: { _id: 'old', revision: 5 } as Filter<Thing>,
            replacement: { revision: 6 } as unknown as Thing,
          },
        },
        { insertOne: { document: { _id: 'taken-1', revision: 9 } } },
        {
          replaceOne: {
            filter: { _id: 'old', revision: 4 } as Filter<Thing>,
            replacement: { revision: 7 } as unknown as Thing,
          },
        },
        { insertOne: { document: { _id: 'taken-2', revision: 9 } } },
        { insertOne: { document: { _id: 'new-2', revision: 1 } } },
      ],
      { ordered: false },
    )
    .then(() => undefined)
    .catch((caught) => caught);

  expect(error).toBeInstanceOf(MongoBulkWriteError);
  const { writeErrors, result } = error as MongoBulkWriteError;
  expect([writeErrors].flat().map(({ index, code }) => [index, code])).toEqual([
    [2, DUPLICATE_KEY],
    [4, DUPLICATE_KEY],
  ]);
  expect([result.insertedCount, result.matchedCount]).toEqual([2, 1]);
  expect(await views.find().sort({ _id: 1 }).toArray()).toEqual([
    { _id: 'new-1', revision: 1 },
    { _id: 'new-2', revision: 1 },
    { _id: 'old', revision: 6 },
    { _id: 'taken-1', revision: 1 },
    { _id: 'taken-2', revision: 1 },
  ]);
});

test('an ordered bulk stops at the first write that fails', async () => {
  const accounts = things();
  await accounts.createIndex({ email: 1 }, { unique: true });
  await accounts.insertMany([
    { _id: 'a', email: 'a' },
    { _id: 'b', email: 'b' },
  ]);
  const set = (_id: string, email: string) => ({
    updateOne: { filter: { _id }, update: { $set: { email } }, upsert: true },
  });

  const updates = await accounts
    .bulkWrite([set('c', 'c'), set('a', 'a2'), set('b', 'c'), set('a', 'a3')])
    .catch((caught) => caught);
  const inserts = await accounts
    .insertMany([
      { _id: 'd', email: 'd' },
      { _id: 'e', email: 'a2' },
      { _id: 'f', email: 'f' },
    ])
    .catch((caught) => caught);

  expect([updates.writeErrors].flat().map(({ index }: { index: number }) => index)).toEqual([2]);
  expect([updates.result.matchedCount, updates.result.upsertedIds]).toEqual([1, { 0: 'c' }]);
  expect([inserts.writeErrors].flat().map(({ index }: { index: number }) => index)).toEqual([1]);
  expect(inserts.result.insertedCount).toBe(1);
  expect((await accounts.find().sort({ _id: 1 }).toArray()).map(({ email }) => email)).toEqual(['a2', 'b', 'c', 'd']);
});

test('a position only rises, beside others that stay', async () => {
  const checkpoints = things();
  await checkpoints.insertOne({ _id: 'checkpoint:1', positions: {} });

  for (const [stream, position] of [
    ['ORDERS', 5],
    ['ORDERS', 3],
    ['PAYMENTS', 2],
    ['ORDERS', 9],
  ]) {
    const raise = { $max: { [`positions.${stream}`]: position } };
    await checkpoints.bulkWrite([{ updateOne: { filter: { _id: 'checkpoint:1' }, update: raise } }]);
  }

  expect(await checkpoints.findOne()).toEqual({ _id: 'checkpoint:1', positions: { ORDERS: 9, PAYMENTS: 2 } });
});

test('a find and update answers the document before or after, or null where there is none', async () => {
  const ids = things();
  await ids.insertMany([
    { _id: 'a', due: 2, taken: false },
    { _id: 'b', due: 1, taken: false },
  ]);
  const take = { $set: { taken: true } };

  const before = await ids.findOneAndUpdate({ taken: false } as Filter<Thing>, take, { sort: { due: 1 } });
  const after = await ids.findOneAndUpdate({ _id: 'a' }, take, { returnDocument: 'after', projection: { taken: 1 } });
  const none = await ids.findOneAndUpdate({ taken: false } as Filter<Thing>, take, { projection: { taken: 1 } });

  expect(before).toEqual({ _id: 'b', due: 1, taken: false });
  expect(after).toEqual({ _id: 'a', taken: true });
  expect(none).toBeNull();
});

test('an outbox grows, is read in order and is cleared of what was sent', async () => {
  const items = things();
  await items.insertOne({ _id: 'a', outbox: [] });
  for (const id of ['e1', 'e2', 'e3']) {
    await items.updateOne({ _id: 'a' }, { $push: { outbox: { id, version: 1 } } } as object);
  }
  await items.createIndex({ 'outbox.id': 1 });

  await items.updateOne({ 'outbox.id': 'e2' } as Filter<Thing>, { $pull: { outbox: { id: 'e1' } } } as object);

  expect(await items.findOne({ 'outbox.id': 'e3' } as Filter<Thing>)).toEqual({
    _id: 'a',
    outbox: [
      { id: 'e2', version: 1 },
      { id: 'e3', version: 1 },
    ],
  });
  expect(await items.countDocuments({ 'outbox.id': 'e1' } as Filter<Thing>)).toBe(0);
  expect(await items.countDocuments({ 'outbox.0': { $exists: true } } as Filter<Thing>)).toBe(1);
});

test('a unique index refuses a second document with the same value, on insert and on update', async () => {
  const accounts = things();
  await accounts.createIndex({ email: 1 }, { unique: true });
  await accounts.insertMany([
    { _id: 'a', email: 'a@example.com' },
    { _id: 'b', email: 'b@example.com' },
  ]);

  await expect(accounts.insertOne({ _id: 'c', email: 'a@example.com' })).rejects.toMatchObject({ code: DUPLICATE_KEY });
  await expect(accounts.updateOne({ _id: 'b' }, { $set: { email: 'a@example.com' } })).rejects.toMatchObject({
    code: DUPLICATE_KEY,
  });

  expect(await accounts.findOne({ _id: 'b' })).toEqual({ _id: 'b', email: 'b@example.com' });
  await accounts.deleteOne({ _id: 'a' });
  await accounts.updateOne({ _id: 'b' }, { $set: { email: 'a@example.com' } });
  expect(await accounts.countDocuments({ email: 'a@example.com' } as Filter<Thing>)).toBe(1);
});

test('a page sorted by an index has the newest first, and goes on where the last one ended', async () => {
  const orders = things();
  await orders.createIndexes([
    { key: { customerId: 1, placedAt: -1, _id: -1 } },
    { key: { placedAt: -1, _id: -1 } },
    { key: { _id: 1, revision: 1 } },
  ]);
  const all = Array.from({ length: 300 }, (_, n) => ({
    _id: `order-${String((n * 7) % 300).padStart(3, '0')}`,
    customerId: `customer-${n % 3}`,
    placedAt: new Date(Math.floor(n / 10) * 1_000),
    revision: 1,
  }));
  await orders.insertMany([...all, { _id: 'checkpoint:0', positions: {} }]);
  const newestFirst = [...all].sort((a, b) => b.placedAt.getTime() - a.placedAt.getTime() || (a._id < b._id ? 1 : -1));

  const pages: string[] = [];
  let after: object = {};
  for (;;) {
    const page = await orders
      .find({ customerId: 'customer-1', revision: { $gte: 1 }, ...after } as Filter<Thing>)
      .sort({ placedAt: -1, _id: -1 })
      .limit(30)
      .toArray();
    pages.push(...page.map(({ _id }) => _id));
    const last = page.at(-1);
    if (last === undefined) break;
    const { placedAt, _id } = last;
    after = { $or: [{ placedAt: { $lt: placedAt } }, { placedAt, _id: { $lt: _id } }] };
  }

  expect(pages).toEqual(newestFirst.filter(({ customerId }) => customerId === 'customer-1').map(({ _id }) => _id));
});

test('a cursor reads everything, however many batches it takes, while documents change', async () => {
  const many = things();
  await many.insertMany(Array.from({ length: 2_500 }, (_, n) => ({ _id: `${n}`, n, revision: 1 })));
  const seen = new Set<string>();

  for await (const { _id } of many.find({}, { batchSize: 100 })) {
    if (seen.size % 500 === 0) await many.updateMany({}, { $inc: { revision: 1 } });
    seen.add(_id);
  }

  expect(seen.size).toBe(2_500);
  expect(await many.distinct('revision')).toEqual([6]);
});

test('a dropped collection is empty and has no index, and can be begun again while others still write', async () => {
  const view = things();
  const fill = async (round: number) => {
    await view.createIndexes([{ key: { name: 1 }, unique: true }, { key: { round: 1 } }]);
    const documents = Array.from({ length: 50 }, (_, n) => ({ _id: `${round}-${n}`, name: `${round}-${n}`, round }));
    await view.insertMany(documents, { ordered: false });
  };
  await fill(0);
  expect(await view.drop()).toBe(true);
  expect(await view.countDocuments()).toBe(0);
  expect(await view.listIndexes().toArray()).toEqual([]);

  const drop = () =>
    view.drop().catch((error) => {
      if (error.codeName !== 'NamespaceNotFound') throw error;
    });
  await Promise.all([
    ...Array.from({ length: 20 }, (_, round) => fill(round + 1)),
    ...Array.from({ length: 5 }, () => drop()),
  ]);

  await drop();
  await fill(99);
  expect(await view.countDocuments()).toBe(50);
  expect(await view.find({ round: 99 } as Filter<Thing>).toArray()).toHaveLength(50);
  expect((await view.listIndexes().toArray()).map(({ name }) => name)).toEqual(['_id_', 'name_1', 'round_1']);
});

test('whatever was acknowledged is there after a crash in the middle of writes, with its indexes', async () => {
  const mongodb = await ownMongodb();
  const ownClient = new MongoClient(mongodb.url, { serverSelectionTimeoutMS: 500 });
  onTestFinished(() => ownClient.close());
  const stock = ownClient.db('crash').collection<Thing>('stock');
  await stock.createIndex({ name: 1 }, { unique: true });
  await stock.createIndex({ writer: 1, n: -1 });
  await stock.insertOne({ _id: 'counter', count: 0 });
  const acknowledged: string[] = [];
  let increments = 0;

  const write = async (writer: number) => {
    for (let n = 0; ; n++) {
      const name = `${writer}-${n}`;
      await stock.insertOne({ _id: name, name, writer, n });
      acknowledged.push(name);
      await stock.updateOne({ _id: 'counter' }, { $inc: { count: 1 } });
      increments++;
      if (acknowledged.length >= 400) await mongodb.kill();
    }
  };
  await Promise.allSettled(Array.from({ length: 8 }, (_, writer) => write(writer)));
  await mongodb.restart();

  const found = await stock.find({ writer: { $gte: 0 } } as Filter<Thing>).toArray();
  expect(acknowledged.length).toBeGreaterThanOrEqual(400);
  expect(found.map(({ _id }) => _id)).toEqual(expect.arrayContaining(acknowledged));
  const counter = (await stock.findOne({ _id: 'counter' })) as { count: number } | null;
  expect(counter?.count).toBeGreaterThanOrEqual(increments);
  await expect(stock.insertOne({ _id: 'again', name: '0-0' })).rejects.toMatchObject({ code: DUPLICATE_KEY });
  const [latest] = await stock
    .find({ writer: 3 } as Filter<Thing>)
    .sort({ n: -1 })
    .limit(1)
    .toArray();
  expect(latest?.n).toBe(Math.max(...found.filter(({ writer }) => writer === 3).map(({ n }) => n as number)));
});

// Few values, so that queries often match and keys are often equal.
const scalar = fc.oneof(
  { weight: 8, arbitrary: fc.nat(3) },
  { weight: 1, arbitrary: fc.constantFrom('', 'a') },
  { weight: 1, arbitrary: fc.constantFrom(new Date(0), new Date(1_000)) },
  { weight: 1, arbitrary: fc.constantFrom(null, true, 1.5, -1) },
);
// No empty arrays: the stand-in does not sort by them as MongoDB does, with or without an index, and nothing here needs it.
const value = fc.oneof(
  { weight: 6, arbitrary: scalar },
  { weight: 2, arbitrary: fc.array(scalar, { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.record({ d: scalar }) },
  { weight: 1, arbitrary: fc.array(fc.record({ d: scalar }, { requiredKeys: [] }), { minLength: 1, maxLength: 2 }) },
);
const lower = fc.oneof(fc.record({ $gt: scalar }), fc.record({ $gte: scalar }));
const upper = fc.oneof(fc.record({ $lt: scalar }), fc.record({ $lte: scalar }));
const condition = fc.oneof(
  { weight: 3, arbitrary: scalar },
  { weight: 2, arbitrary: fc.record({ $in: fc.array(scalar, { maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ $ne: scalar }) },
  { weight: 1, arbitrary: fc.record({ $exists: fc.boolean() }) },
  { weight: 3, arbitrary: fc.oneof(lower, upper) },
  { weight: 2, arbitrary: fc.tuple(lower, upper).map(([from, to]) => ({ ...from, ...to })) },
);
const path = fc.constantFrom('a', 'b', 'c', 'c.d', '_id');
const flatQuery = fc.dictionary(path, condition, { maxKeys: 2 });
const query = fc.oneof(
  { weight: 4, arbitrary: flatQuery },
  { weight: 1, arbitrary: fc.record({ $or: fc.array(flatQuery, { minLength: 1, maxLength: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ $and: fc.array(flatQuery, { minLength: 1, maxLength: 2 }) }) },
);
const direction = fc.constantFrom(1 as const, -1 as const);
const sort = fc
  .array(fc.tuple(fc.constantFrom('a', 'b', 'c'), direction), { maxLength: 2 })
  .chain((keys) => direction.map((last) => Object.fromEntries([...keys, ['_id', last]]) as Sort));

/** Documents, changes to them and then queries; of one kind of value, because an array changes how an index is read. */
function scenario(values: fc.Arbitrary<unknown>) {
  const fields = fc.record({ a: values, b: values, c: values }, { requiredKeys: [] });
  const change = fc.oneof(
    { weight: 4, arbitrary: fc.record({ query, $set: fields }) },
    { weight: 1, arbitrary: fc.record({ query, $unset: fc.constant({ a: '' }) }) },
    { weight: 1, arbitrary: fc.record({ query, remove: fc.constant(true) }) },
  );
  return fc.record({
    documents: fc.array(fields, { minLength: 5, maxLength: 20 }),
    changes: fc.array(change, { maxLength: 3 }),
    queries: fc.array(fc.record({ query, sort, limit: fc.nat(5), skip: fc.nat(2) }), { minLength: 6, maxLength: 10 }),
  });
}

test('an index changes nothing about the answer to a query, whatever the documents and changes before it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(scenario(scalar), scenario(value)), async ({ documents, changes, queries }) => {
      const [plain, indexed] = [things(), things()];
      const early = [{ key: { a: 1, b: -1 } }, { key: { 'c.d': 1, a: 1 } }, { key: { _id: 1, a: 1 } }] as const;
      const late = [{ key: { b: -1 } }, { key: { c: 1 } }, { key: { a: -1, _id: -1 } }] as const;
      await indexed.createIndexes([...early]);
      for (const collection of [plain, indexed]) {
        await collection.insertMany(documents.map((document, n) => ({ ...document, _id: `${n}` })));
      }
      for (const { query: filter, ...operation } of changes) {
        for (const collection of [plain, indexed]) {
          if ('remove' in operation) await collection.deleteMany(filter as Filter<Thing>);
          else if (!('$set' in operation) || Object.keys(operation.$set).length > 0) {
            await collection.updateMany(filter as Filter<Thing>, operation as object);
          }
        }
      }
      await indexed.createIndexes([...late]);
      for (const { query: filter, sort: order, limit, skip } of queries) {
        const [expected, actual] = await Promise.all(
          [plain, indexed].map((collection) =>
            collection
              .find(filter as Filter<Thing>)
              .sort(order)
              .skip(skip)
              .limit(limit)
              .toArray(),
          ),
        );
        expect(actual).toEqual(expected);
        const counts = await Promise.all(
          [plain, indexed].map((collection) => collection.countDocuments(filter as Filter<Thing>)),
        );
        expect(counts[1]).toBe(counts[0]);
      }
      await Promise.all([plain.drop(), indexed.drop()]);
    }),
    { numRuns: 150 },
  );
});

import { PassThrough } from 'node:stream';
import { type Db, MongoClient } from 'mongodb';
import { expect, onTestFinished, test } from 'vitest';
import { sharedMongoUri } from '#kit/testing/servers.ts';
import { createLogger } from './logging.ts';

/** The line that these fields make, as it is written. */
function logged(fields: object): { text: string; line: { err: Record<string, unknown> } } {
  const written = new PassThrough();
  createLogger('orders', 'info', written).error(fields, 'parked');
  const text = String(written.read());
  return { text, line: JSON.parse(text) };
}

function database(): Db {
  const client = new MongoClient(sharedMongoUri());
  onTestFinished(() => client.close());
  return client.db();
}

test('what the database refuses is logged without the document that it refuses', async () => {
  const collection = database().collection<{ _id: string; email: string; shipTo: { name: string } }>('orders');
  await collection.createIndex({ email: 1 }, { unique: true });
  const order = { email: 'ada@example.org', shipTo: { name: 'Ada King' } };
  const refused = await collection
    .bulkWrite(
      ['one', 'two'].map((_id) => ({ insertOne: { document: { _id, ...order } } })),
      { ordered: false },
    )
    .catch((error) => error);

  for (const err of [refused, new Error('the batch was not written', { cause: refused })]) {
    const { text, line } = logged({ err });
    expect(text).not.toMatch(/ada@example|Ada King/);
    const told = line.err.cause ?? line.err;
    expect(told).toMatchObject({ type: 'MongoBulkWriteError', code: 11_000, stack: expect.stringMatching(/^ {4}at /) });
    expect(Object.keys(told).sort()).toEqual(['code', 'message', 'stack', 'type']);
  }
});

test('of an error its type, message, code, stack and causes are logged, and no more', () => {
  const refused = Object.assign(new TypeError('no such port'), {
    code: 'EPORT',
    request: { email: 'ada@example.org' },
  });
  const circular = new Error('round');
  circular.cause = circular;

  const { line } = logged({ err: new Error('not sent', { cause: refused }) });

  const stack = expect.stringMatching(/^ {4}at /);
  expect(line.err).toEqual({
    type: 'Error',
    message: 'not sent',
    stack,
    cause: { type: 'TypeError', message: 'no such port', code: 'EPORT', stack },
  });
  expect(logged({ err: circular }).text.length).toBeLessThan(20_000);
  expect(logged({ err: new Error('x'.repeat(100_000)) }).text.length).toBeLessThan(5_000);
  expect(logged({ err: 'a text' }).line.err).toEqual({ type: 'string', message: 'a text' });
  expect(logged({ err: { email: 'ada@example.org' } }).line.err).toEqual({ type: 'object', message: '' });
});

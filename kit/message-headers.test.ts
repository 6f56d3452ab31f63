import { headers } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import { headersOf, MessageHeaders } from './message-headers.ts';
import { keysOfPartition, openBank } from './testing/reacting.ts';
import { ownNats } from './testing/servers.ts';

const written = 'NATS/1.0\r\nce-id: a\r\nce-idea: b\r\nNats-Stream:BANK\r\nmany: 1\r\nmany: 2\r\nempty: \r\n\r\n';

describe('headers as the broker sends them', () => {
  test.each<[string, (of: MessageHeaders) => unknown]>([
    ['before anything else is asked', () => {}],
    ['after all names were asked for', (of) => of.keys()],
  ])('are found by their names as they are written, %s', (_, before) => {
    const found = new MessageHeaders(Buffer.from(written));
    before(found);
    const asked = ['ce-id', 'ce-idea', 'Nats-Stream', 'many', 'empty', 'CE-ID', 'ce', 'other'];
    expect(asked.map((name) => found.get(name))).toEqual(['a', 'b', 'BANK', '1', '', '', '', '']);
    expect(['ce-id', 'empty', 'other'].map((name) => found.has(name))).toEqual([true, true, false]);
    expect([found.values('many'), found.last('many'), found.values('other')]).toEqual([['1', '2'], '2', []]);
  });

  test('can be changed, and written again', () => {
    const changed = new MessageHeaders(Buffer.from(written));
    changed.set('many', '3');
    changed.delete('ce-idea');
    changed.append('new', 'é');
    expect(Buffer.from(changed.encode()).toString()).toBe(
      'NATS/1.0\r\nce-id: a\r\nNats-Stream: BANK\r\nempty: \r\nmany: 3\r\nnew: é\r\n\r\n',
    );
  });

  test.each(['a\r\nb: c', 'a\nb'])('take no value that would be another header: %j', (value) => {
    expect(() => new MessageHeaders().append('name', value)).toThrow(RangeError);
  });

  test.each(['NATS/1.0\r\na: b\nc: d\r\n\r\n', 'NATS/1.0\r\na: b\rc: d\r\n\r\n'])('are not guessed: %j', (bytes) => {
    expect(() => new MessageHeaders(Buffer.from(bytes))).toThrow(RangeError);
  });

  test('are written as the client writes its own', () => {
    const [own, theirs] = [new MessageHeaders(), headers()];
    for (const each of [own, theirs]) {
      each.append('ce-id', 'x y');
      each.append('many', '1');
      each.append('many', ' 2 ');
    }
    expect(Buffer.from(own.encode()).toString()).toBe(String(theirs));
  });

  test('are taken from where the client keeps them, and are what it says itself', async () => {
    const bank = await openBank((await ownNats()).url);
    const [key = ''] = keysOfPartition(3, 1);
    await bank.deposit(key, 5);
    const consumer = await bank.broker.js.consumers.get(bank.journal.stream);
    const message = await consumer.next();
    if (message === null) throw new Error('there is no message');
    const found = headersOf(message);
    expect(found).toBeInstanceOf(MessageHeaders);
    expect(Object.fromEntries(found ?? [])).toEqual(Object.fromEntries(message.headers ?? []));
  });
});

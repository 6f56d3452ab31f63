import { headers } from '@nats-io/transport-node';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Broker, connectBroker } from './broker.ts';
import { UnavailableError } from './errors.ts';
import type { StoredMessage } from './event.ts';
import { type Append, ConflictError, eventId, Journal, storedFromConsumer } from './journal.ts';
import { journalOf, StreamFullError } from './streams.ts';
import { startProxy } from './testing/proxy.ts';
import { publishRaw } from './testing/raw.ts';
import { type OwnServer, ownNats } from './testing/servers.ts';

let nats: OwnServer;
let broker: Broker;
let journals = 0;
/** A journal that no other test has, and the subject of an aggregate in it. */
let journal: Journal;
let subject: string;

beforeAll(async () => {
  nats = await ownNats();
  broker = await connectBroker({ url: nats.url, name: 'journal' });
  return () => broker.close();
});

beforeEach(async () => {
  const service = `accounts${++journals}`;
  journal = new Journal(journalOf(service, 1024 ** 2), broker);
  subject = `${service}.event.4.account.a`;
  await journal.ensure();
});

function event(id: string, expectedSequence: number, on: string = subject): Append {
  return { subject: on, data: Buffer.from(`what ${id} says`), headers: headers(), id, expectedSequence };
}

const says = ({ data }: StoredMessage) => Buffer.from(data).toString();

async function messages(): Promise<StoredMessage[]> {
  return journal.history('>');
}

describe("an event's id", () => {
  test('is the same for the same subject, cause and type, for ever', () => {
    expect(eventId('orders.event.4.order.a', 'request-1', 'causeway.orders.v1.OrderPlaced')).toBe(
      'rzQZ9y19Z3FBqk_CCgNdjWdezN8',
    );
  });

  test('is another for another subject, cause or type', () => {
    const ids = [
      eventId('a', 'b', 'c'),
      eventId('x', 'b', 'c'),
      eventId('a', 'x', 'c'),
      eventId('a', 'b', 'x'),
      eventId('ab', '', 'c'),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('an append', () => {
  test('stores the event after the one that was expected', async () => {
    expect(await journal.append(event('one', 0))).toEqual({ sequence: 1 });
    expect(await journal.append(event('two', 1))).toEqual({ sequence: 2 });
    const [one, two] = await messages();
    expect(one).toMatchObject({ subject, stream: journal.stream, sequence: 1 });
    expect([one, two].map((each) => each?.headers.get('Nats-Msg-Id'))).toEqual(['one', 'two']);
  });

  test('expects nothing of other subjects', async () => {
    await journal.append(event('one', 0));
    expect(await journal.append(event('other', 0, `${subject}b`))).toEqual({ sequence: 2 });
  });

  test('is a conflict where the subject has moved on, or is not there yet', async () => {
    await journal.append(event('one', 0));
    await expect(journal.append(event('two', 0))).rejects.toThrow(ConflictError);
    await expect(journal.append(event('three', 7))).rejects.toThrow(ConflictError);
    expect(await journal.lastSequence()).toBe(1);
  });

  test('again is answered with where the first stands, and what stands there', async () => {
    await journal.append(event('one', 0));
    const again = await journal.append({ ...event('one', 0), data: Buffer.from('decided on another state') });
    expect(again.sequence).toBe(1);
    expect(again.found && says(again.found)).toBe('what one says');
    expect(await journal.lastSequence()).toBe(1);
  });

  test('again, after the subject moved on and was read anew, is answered with where the first stands', async () => {
    await journal.append(event('one', 0));
    await journal.append(event('two', 1));
    expect(await journal.append(event('one', 2))).toMatchObject({ sequence: 1, found: { sequence: 1 } });
    expect(await journal.lastSequence()).toBe(2);
  });

  test('again, after the subject moved on unseen, is a conflict', async () => {
    await journal.append(event('one', 0));
    await journal.append(event('two', 1));
    await expect(journal.append(event('one', 0))).rejects.toThrow(ConflictError);
  });

  test('is no success where its id stands on another subject, although the broker calls it a duplicate', async () => {
    await journal.append(event('one', 0));
    const published = broker.js.publish(`${subject}b`, '', { msgID: 'one', expect: { lastSubjectSequence: 0 } });
    expect(await published).toMatchObject({ duplicate: true, seq: 1 });
    await expect(journal.append(event('one', 0, `${subject}b`))).rejects.toThrow(ConflictError);
    expect(await journal.last(`${subject}b`)).toBeUndefined();
  });

  test('of a hundred at once stores one', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => journal.append(event('one', 0))));
    expect(new Set(answers.map(({ sequence }) => sequence))).toEqual(new Set([1]));
    expect(await journal.lastSequence()).toBe(1);
  });

  test('to a journal that is full is an outage, stores nothing and loses nothing', async () => {
    const large = { ...event('large', 0), data: Buffer.alloc(700 * 1024) };
    await journal.append(large);
    const refused = journal.append({ ...large, id: 'larger', expectedSequence: 1 });
    await expect(refused).rejects.toThrow(UnavailableError);
    await expect(refused).rejects.toThrow('is full');
    expect(await journal.lastSequence()).toBe(1);
    expect(await messages()).toHaveLength(1);
  });

  describe('that was refused for want of room', () => {
    // There is room for an event, and yet not for this one: as with a full disk, which the stream says nothing of.
    beforeEach(async () => {
      await journal.append({ ...event('one', 0), data: Buffer.alloc(300 * 1024) });
      await journal.requireRoom();
      const large = { ...event('large', 1), data: Buffer.alloc(900 * 1024) };
      await expect(journal.append(large)).rejects.toThrow('is full');
    });

    test('is remembered until one works', async () => {
      await expect(journal.requireRoom()).rejects.toThrow(StreamFullError);
      await journal.append(event('two', 1));
      await journal.requireRoom();
    });

    test('is not remembered for ever: who waits for room makes no append that could work', async () => {
      const now = performance.now();
      vi.spyOn(performance, 'now').mockImplementation(() => now + 4_000);
      onTestFinished(() => {
        vi.restoreAllMocks();
      });
      await journal.requireRoom();
    });
  });

  test('has no room for another event before the stream is full to the last byte', async () => {
    await journal.append({ ...event('one', 0), data: Buffer.alloc(950 * 1024) });
    await expect(journal.requireRoom()).rejects.toThrow('is full');
    await broker.manager.streams.update(journal.stream, { max_bytes: 2 * 1024 ** 2 });
    await journal.requireRoom();
  });

  test('to a stream that nobody leads is an outage', async () => {
    const nowhere = new Journal(journalOf('nowhere'), broker);
    await expect(nowhere.append(event('one', 0, 'nowhere.event.4.account.a'))).rejects.toThrow(UnavailableError);
  });
});

describe('an append on a bad network', () => {
  /** The journal as a client sees it through a proxy. */
  async function behindProxy() {
    const proxy = await startProxy(nats.url);
    const far = await connectBroker({ url: proxy.url, name: 'far' });
    onTestFinished(async () => {
      await far.close();
      await proxy.close();
    });
    return { proxy, far: new Journal(journal.declaration, far) };
  }

  const stored = () => expect.poll(() => journal.lastSequence(), { interval: 10 }).toBe(1);

  test('whose answer is late is asked again, and stands once', async () => {
    const { proxy, far } = await behindProxy();
    proxy.hold('answers');
    const appended = far.append(event('one', 0));
    await stored();
    const published = () => proxy.sent().match(/HPUB accounts/g)?.length;
    expect(published()).toBe(1);
    await expect.poll(published).toBe(1);
    proxy.release('answers');
    expect(await appended).toMatchObject({ sequence: 1, found: { sequence: 1 } });
    expect(await journal.lastSequence()).toBe(1);
  });

  test('whose answer was lost with the connection is asked again on the next one, and stands once', async () => {
    const { proxy, far } = await behindProxy();
    proxy.hold('answers');
    const appended = far.append(event('one', 0));
    await stored();
    proxy.cut();
    proxy.release('answers');
    expect(await appended).toMatchObject({ sequence: 1, found: { sequence: 1 } });
    expect(await journal.lastSequence()).toBe(1);
  });

  test('that never arrives is an outage within two seconds', async () => {
    const { proxy, far } = await behindProxy();
    proxy.hold('requests');
    const started = performance.now();
    await expect(far.append(event('one', 0))).rejects.toThrow(UnavailableError);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(await journal.lastSequence()).toBe(0);
  });

  test('that arrives after its caller was told of an outage, twice, stands once, and a retry finds it', async () => {
    const { proxy, far } = await behindProxy();
    proxy.hold('requests');
    await expect(far.append(event('one', 0))).rejects.toThrow(UnavailableError);
    proxy.release('requests');
    expect(await far.append(event('one', 0))).toMatchObject({ sequence: 1 });
    expect(await journal.lastSequence()).toBe(1);
  });

  test('is an outage at once where the connection is known to be lost', async () => {
    const own = await ownNats();
    const lost = await connectBroker({ url: own.url, name: 'lost' });
    const journal = new Journal(journalOf('accounts'), lost);
    await journal.ensure();
    await own.kill();
    await expect.poll(() => lost.connected()).toBe(false);
    const started = performance.now();
    await expect(journal.append(event('one', 0, 'accounts.event.4.account.a'))).rejects.toThrow(UnavailableError);
    expect(performance.now() - started).toBeLessThan(100);
    await lost.close();
  });
});

describe('what a journal holds', () => {
  test('is nothing at first', async () => {
    expect(await journal.last(subject)).toBeUndefined();
    expect(await journal.lastOnLeader(subject)).toBeUndefined();
    expect(await journal.history(subject)).toEqual([]);
    expect(await journal.lastSequence()).toBe(0);
  });

  test("is read back from any replica, from the leader and as a subject's history", async () => {
    await journal.append(event('one', 0));
    await journal.append(event('other', 0, `${subject}b`));
    await journal.append(event('two', 1));
    const last = { subject, stream: journal.stream, sequence: 3 };
    expect(await journal.last(subject)).toMatchObject(last);
    expect(await journal.lastOnLeader(subject)).toMatchObject(last);
    expect((await journal.history(subject)).map(says)).toEqual(['what one says', 'what two says']);
    expect((await journal.history(subject, 2)).map(says)).toEqual(['what one says']);
  });

  test.each([
    ['no headers', () => broker.js.publish(subject, 'hi')],
    ['headers that nobody can read', () => publishRaw(nats.url, subject, 'NATS/1.0\r\nce-id: a\nb\r\n\r\n')],
    ['headers that are none', () => publishRaw(nats.url, subject, 'what is this\r\n\r\n')],
  ])('is read, whatever it is: a message with %s has none', async (_, publish) => {
    await publish();
    await journal.append(event('two', 1));
    await expect.poll(() => journal.lastSequence()).toBe(2);
    const [first] = await journal.history(subject);
    expect(first?.headers.keys()).toEqual([]);
    const consumer = await broker.js.consumers.get(journal.stream);
    const delivered = await consumer.next();
    if (delivered === null) throw new Error('nothing was delivered');
    expect(storedFromConsumer(delivered)).toMatchObject({ subject, sequence: 1, stream: journal.stream });
    expect(storedFromConsumer(delivered).headers.keys()).toEqual([]);
  });

  test.each([
    ['no headers', () => broker.js.publish(subject, 'hi')],
    ['headers that nobody can read', () => publishRaw(nats.url, subject, 'NATS/1.0\r\nce-id: a\nb\r\n\r\n')],
  ])('ends with a message that has %s, and is read all the same', async (_, publish) => {
    await publish();
    await expect.poll(() => journal.lastSequence()).toBe(1);
    expect(await journal.last(subject)).toMatchObject({ subject, sequence: 1 });
    expect((await journal.lastOnLeader(subject))?.headers.keys()).toEqual([]);
  });

  test('is said live after it is stored, and never what was refused', async () => {
    const live: string[] = [];
    const subscription = broker.connection.subscribe(`live.${journal.declaration.service}.event.>`, {
      callback: (_, message) => {
        live.push(`${message.string()} at ${message.headers?.get('Nats-Sequence')}`);
      },
    });
    await journal.append(event('one', 0));
    await expect(journal.append(event('refused', 0))).rejects.toThrow(ConflictError);
    await journal.append(event('two', 1));
    await expect.poll(() => live).toHaveLength(2);
    expect(live).toEqual(['what one says at 1', 'what two says at 2']);
    subscription.unsubscribe();
  });

  test('can not be read while the broker is away, which is an outage', async () => {
    const own = await ownNats();
    const lost = await connectBroker({ url: own.url, name: 'lost' });
    const journal = new Journal(journalOf('accounts'), lost);
    await journal.ensure();
    await own.kill('SIGSTOP');
    const reads = [
      journal.last(subject),
      journal.lastOnLeader(subject),
      journal.history(subject),
      journal.lastSequence(),
    ];
    const started = performance.now();
    for (const read of reads) await expect(read).rejects.toThrow(UnavailableError);
    expect(performance.now() - started).toBeLessThan(2_000);
    await lost.close();
  });
});

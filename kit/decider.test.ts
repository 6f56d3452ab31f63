import { create, toBinary } from '@bufbuild/protobuf';
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { MoneyDepositedSchema, PaidInSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { type Broker, connectBroker } from './broker.ts';
import { CommandHandler } from './decider.ts';
import { CallError, PermanentError, UnavailableError } from './errors.ts';
import { type EventContext, EventTypes, eventHeaders, readEvent } from './event.ts';
import { type Append, Journal } from './journal.ts';
import { partitionOf, subjectOf } from './partitions.ts';
import { PersonalData } from './personal-data.ts';
import { journalOf, journalStream } from './streams.ts';
import { type AccountCommand, accountAggregate, accountRequest } from './testing/account.ts';
import { startProxy } from './testing/proxy.ts';
import { type OwnServer, ownNats } from './testing/servers.ts';

const MASTER_KEY = Buffer.alloc(32, 7);
const clock = () => new Date('2026-11-24T12:00:00.000Z');

let nats: OwnServer;
let broker: Broker;
let personalData: PersonalData;
let tests = 0;
/** A journal that no other test has. */
let journal: Journal;
let accountId: string;

beforeAll(async () => {
  nats = await ownNats();
  broker = await connectBroker({ url: nats.url, name: 'commands' });
  personalData = await PersonalData.open(broker, MASTER_KEY);
  return () => broker.close();
});

beforeEach(async () => {
  tests++;
  accountId = `account-${tests}`;
  journal = new Journal(journalOf(`accounts${tests}`, 8 * 1024 ** 2), broker);
  await journal.ensure();
});

/** What another process would have: a handler that knows nothing yet. */
function newHandler(on: Journal = journal, keys: PersonalData = personalData) {
  return new CommandHandler(on, accountAggregate, keys, clock);
}

const open = (ownerName = 'Anna Karenina'): AccountCommand => ({ type: 'OpenAccount', accountId, ownerName });
const deposit = (amount: number): AccountCommand => ({ type: 'Deposit', accountId, amount: BigInt(amount) });
const withdraw = (amount: number): AccountCommand => ({ type: 'Withdraw', accountId, amount: BigInt(amount) });

const subject = () => subjectOf(journal.declaration.service, 'account', accountId);
const events = async () =>
  (await journal.history(subject())).map(({ headers }) => headers.get('ce-type').split('.').at(-1));
const balance = async () => (await newHandler().state(accountId))?.state;

/** A call that is answered with this code and reason. */
function refusal(code: string, reason: string) {
  return expect.objectContaining({ name: 'CallError', code, details: expect.objectContaining({ reason }) });
}

/** What is asked of the broker's storage from now on. */
async function watchReads() {
  const reads = { direct: 0, leader: 0 };
  const count = (which: keyof typeof reads) => ({
    callback: () => {
      reads[which]++;
    },
  });
  const subscriptions = [
    broker.connection.subscribe(`$JS.API.DIRECT.GET.${journal.stream}.>`, count('direct')),
    broker.connection.subscribe(`$JS.API.STREAM.MSG.GET.${journal.stream}`, count('leader')),
  ];
  onTestFinished(() => {
    for (const subscription of subscriptions) subscription.unsubscribe();
  });
  await broker.connection.flush();
  return async () => {
    await broker.connection.flush();
    return { ...reads };
  };
}

describe('a command', () => {
  test('becomes one event, whose place is the answer', async () => {
    const answer = await newHandler().handle(accountRequest(open()));
    expect(answer).toMatchObject({
      outcome: 'done',
      version: 1,
      state: { status: 'Open', ownerName: 'Anna Karenina', balance: 0n },
      position: { stream: journal.stream, partition: partitionOf(accountId), sequence: 1n },
    });
    expect(await events()).toEqual(['AccountOpened']);
  });

  test('says in the headers of its event who asked for it, what led to it and where it belongs', async () => {
    await newHandler().handle({ ...accountRequest(open(), { requestId: 'request-1' }), correlationId: 'c-1' });
    const stored = await journal.lastOnLeader(subject());
    const head = (name: string) => stored?.headers.get(name);
    expect(stored?.subject).toBe(`${journal.declaration.service}.event.${partitionOf(accountId)}.account.${accountId}`);
    expect(head('ce-id')).toMatch(/^[\w-]{27}$/);
    expect(head('Nats-Msg-Id')).toBe(head('ce-id'));
    expect(head('ce-type')).toBe('causeway.testing.v1.AccountOpened');
    expect(head('ce-source')).toBe(`/causeway/${journal.declaration.service}`);
    expect(head('ce-subject')).toBe(accountId);
    expect(head('ce-time')).toBe('2026-11-24T12:00:00.000Z');
    expect(head('ce-version')).toBe('1');
    expect(head('ce-correlationid')).toBe('c-1');
    expect(head('ce-causationid')).toBe('request-1');
    expect(head('ce-actor')).toBe('anna');
    expect(head('Causeway-State-Version')).toBe('1');
    expect(head('Causeway-Key')).toBe((await personalData.keyOf(`owner of ${accountId}`)).id);
  });

  test('makes an event of the same id whenever it is carried out', async () => {
    const idOf = async () => {
      await newHandler().handle(accountRequest(open()));
      return (await journal.lastOnLeader(subject()))?.headers.get('ce-id');
    };
    const first = await idOf();
    await broker.manager.streams.delete(journal.stream);
    await journal.ensure();
    expect(await idOf()).toBe(first);
  });

  test('that is refused stores nothing and says why', async () => {
    const handler = newHandler();
    await expect(handler.handle(accountRequest(deposit(5)))).rejects.toEqual(refusal('NOT_FOUND', 'ACCOUNT_UNKNOWN'));
    await handler.handle(accountRequest(open()));
    await expect(handler.handle(accountRequest(withdraw(5)))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      details: { reason: 'OVERDRAWN', violations: [{ field: 'amount' }] },
    });
    expect(await events()).toEqual(['AccountOpened']);
  });

  test('that has nothing left to do stores nothing and is answered with what is there', async () => {
    const handler = newHandler();
    await handler.handle(accountRequest(open()));
    expect(await handler.handle(accountRequest(deposit(0)))).toMatchObject({
      outcome: 'unchanged',
      version: 1,
      position: { sequence: 1n },
    });
    expect(await events()).toEqual(['AccountOpened']);
  });

  test('on what does not exist finds no state', async () => {
    expect(await newHandler().state(accountId)).toBeUndefined();
  });

  test('that creates expects that there is nothing, and does not look first', async () => {
    const reads = await watchReads();
    await newHandler().handle(accountRequest(open()));
    expect(await reads()).toEqual({ direct: 0, leader: 0 });
    const stored = await journal.lastOnLeader(subject());
    expect(stored?.headers.get('Nats-Expected-Last-Subject-Sequence')).toBe('0');
  });

  test('expects the message that its decision was based on', async () => {
    await newHandler().handle(accountRequest(open()));
    await newHandler().handle(accountRequest(deposit(5)));
    const stored = await journal.lastOnLeader(subject());
    expect(stored?.headers.get('Nats-Expected-Last-Subject-Sequence')).toBe('1');
  });
});

describe('others who change the same', () => {
  test('lead to another decision on what they left', async () => {
    const [here, there] = [newHandler(), newHandler()];
    await here.handle(accountRequest(open()));
    await there.handle(accountRequest(deposit(5)));
    expect(await here.handle(accountRequest(deposit(7)))).toMatchObject({ version: 3, state: { balance: 12n } });
    expect(await balance()).toMatchObject({ balance: 12n });
  });

  /** Somebody who is first, really, as many times as wanted. */
  class Contested extends Journal {
    wins = 0;
    readonly #most: number;

    constructor(most: number) {
      super(journal.declaration, broker);
      this.#most = most;
    }

    override async append(append: Append) {
      if (this.wins < this.#most) {
        this.wins++;
        await newHandler().handle(accountRequest(deposit(1), { requestId: `rival ${this.wins}` }));
      }
      return super.append(append);
    }
  }

  test('and win each time lead to ABORTED, with nothing stored', async () => {
    await newHandler().handle(accountRequest(open()));
    const contested = new Contested(Number.POSITIVE_INFINITY);
    await expect(newHandler(contested).handle(accountRequest(deposit(100)))).rejects.toMatchObject({
      code: 'ABORTED',
      details: { reason: 'CONTENTION', retryAfterMs: expect.any(Number) },
    });
    expect(contested.wins).toBe(8);
    expect(await balance()).toMatchObject({ balance: 8n });
  });

  test('and win seven times are beaten at last', async () => {
    await newHandler().handle(accountRequest(open()));
    const contested = new Contested(7);
    expect(await newHandler(contested).handle(accountRequest(deposit(100)))).toMatchObject({
      version: 9,
      state: { balance: 107n },
    });
  });

  test('and are many lose nothing and do nothing twice', async () => {
    const handlers = Array.from({ length: 4 }, () => newHandler());
    await newHandler().handle(accountRequest(open()));
    const persist = async (handler: ReturnType<typeof newHandler>, requestId: string): Promise<number> => {
      try {
        return (await handler.handle(accountRequest(deposit(1), { requestId }))).version;
      } catch (error) {
        if (error instanceof CallError && error.code === 'ABORTED') return persist(handler, requestId);
        throw error;
      }
    };
    const requestIds = Array.from({ length: 12 }, (_, index) => `request ${index}`);
    const versions = await Promise.all(
      handlers.flatMap((handler) => requestIds.map((requestId) => persist(handler, requestId))),
    );
    expect(await balance()).toMatchObject({ balance: 12n });
    const stored = await journal.history(subject());
    expect(stored.map(({ headers }) => Number(headers.get('ce-version')))).toEqual(
      Array.from({ length: 13 }, (_, index) => index + 1),
    );
    // Every process was told the same version of the same request.
    const told = requestIds.map((_, index) => new Set([0, 1, 2, 3].map((process) => versions[process * 12 + index])));
    expect(told.map(({ size }) => size)).toEqual(requestIds.map(() => 1));
  });
});

describe('the same request', () => {
  test('a hundred times at once is one event and one answer, when it creates', async () => {
    const handlers = Array.from({ length: 4 }, () => newHandler());
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => handlers[index % 4]?.handle(accountRequest(open()))),
    );
    expect(await events()).toEqual(['AccountOpened']);
    const replies = answers.map((answer) => `${answer?.version} at ${answer?.position.sequence}`);
    expect(new Set(replies)).toEqual(new Set(['1 at 1']));
    expect(answers.filter((answer) => answer?.outcome === 'done')).toHaveLength(1);
  });

  test('a hundred times at once is one event and one answer, when it changes', async () => {
    await newHandler().handle(accountRequest(open()));
    const handlers = Array.from({ length: 4 }, () => newHandler());
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => handlers[index % 4]?.handle(accountRequest(deposit(5)))),
    );
    expect(await events()).toEqual(['AccountOpened', 'MoneyDeposited']);
    const replies = answers.map((answer) => `${answer?.version} at ${answer?.position.sequence}`);
    expect(new Set(replies)).toEqual(new Set(['2 at 2']));
  });

  test('after the aggregate has moved on is answered with the same version, and a position not before the first', async () => {
    const first = await newHandler().handle(accountRequest(open()));
    await newHandler().handle(accountRequest(deposit(5)));
    await newHandler().handle(accountRequest(deposit(6)));
    const again = await newHandler().handle(accountRequest(open()));
    expect(again).toMatchObject({ outcome: 'repeated', version: first.version });
    expect(again.position.sequence).toBeGreaterThanOrEqual(first.position.sequence);
    expect(await newHandler().handle(accountRequest(deposit(5)))).toMatchObject({ outcome: 'repeated', version: 2 });
    expect(await balance()).toMatchObject({ balance: 11n });
  });

  test('with other content is refused', async () => {
    const requestId = 'request-1';
    await newHandler().handle(accountRequest(open()));
    await newHandler().handle(accountRequest(deposit(5), { requestId }));
    const other = newHandler().handle(accountRequest(deposit(6), { requestId }));
    await expect(other).rejects.toEqual(refusal('ALREADY_EXISTS', 'REQUEST_DIFFERS'));
    expect(await balance()).toMatchObject({ balance: 5n });
  });

  test('to create, with other content, is refused whatever its id', async () => {
    await newHandler().handle(accountRequest(open(), { requestId: 'one' }));
    for (const requestId of ['one', 'two', '']) {
      const other = newHandler().handle(accountRequest(open('Boris'), { requestId }));
      await expect(other).rejects.toEqual(refusal('ALREADY_EXISTS', 'REQUEST_DIFFERS'));
    }
    expect(await balance()).toMatchObject({ ownerName: 'Anna Karenina' });
  });

  test('of two callers is two requests', async () => {
    const requestId = 'request-1';
    await newHandler().handle(accountRequest(open()));
    await newHandler().handle(accountRequest(deposit(5), { requestId, caller: 'anna' }));
    await newHandler().handle(accountRequest(deposit(5), { requestId, caller: 'boris' }));
    expect(await balance()).toMatchObject({ balance: 10n });
  });

  test('is not made of two whose caller and id only look alike when they are written together', async () => {
    await newHandler().handle(accountRequest(open()));
    await newHandler().handle(accountRequest(deposit(5), { caller: 'anna\nboris', requestId: 'one' }));
    await newHandler().handle(accountRequest(deposit(5), { caller: 'anna', requestId: 'boris\none' }));
    expect(await balance()).toMatchObject({ balance: 10n });
  });

  test('without an id is another one each time', async () => {
    await newHandler().handle(accountRequest(open()));
    for (const causationId of ['one', 'two']) {
      await newHandler().handle({ ...accountRequest(deposit(5), { requestId: '' }), causationId });
    }
    expect(await balance()).toMatchObject({ balance: 10n });
  });

  test('that seventeen others have followed is still known to the broker', async () => {
    await newHandler().handle(accountRequest(open()));
    const first = await newHandler().handle(accountRequest(deposit(5), { requestId: 'first' }));
    const handler = newHandler();
    for (let other = 0; other < 17; other++) {
      await handler.handle(accountRequest(deposit(1), { requestId: `other ${other}` }));
    }
    const again = await newHandler().handle(accountRequest(deposit(5), { requestId: 'first' }));
    expect(again).toMatchObject({ outcome: 'repeated', version: first.version, position: { sequence: 19n } });
    expect(await balance()).toMatchObject({ balance: 22n });
  });

  test('that others have made meanwhile is answered with what they stored, and nothing else is believed', async () => {
    const [here, there] = [newHandler(), newHandler()];
    await here.handle(accountRequest(open()));
    await there.handle(accountRequest(deposit(5)));
    await there.handle(accountRequest(deposit(7)));
    // Here the account is still thought to be empty, at version 1.
    expect(await here.handle(accountRequest(deposit(7)))).toMatchObject({
      outcome: 'repeated',
      version: 3,
      state: { balance: 12n },
      position: { sequence: 3n },
    });
    expect(await here.handle(accountRequest(withdraw(12)))).toMatchObject({ version: 4, state: { balance: 0n } });
  });
});

describe('the same request, when the broker has forgotten it', () => {
  beforeEach(async () => {
    await broker.manager.streams.delete(journal.stream);
    await broker.manager.streams.add({
      ...journalStream(journal.declaration, broker),
      duplicate_window: 100_000_000,
    });
  });

  /** Until an id that is published now is not called a duplicate any more. */
  async function windowHasPassed() {
    const probe = `${journal.declaration.service}.event.0.probe.${crypto.randomUUID()}`;
    const publish = () => broker.js.publish(probe, '', { msgID: probe });
    await publish();
    await expect.poll(async () => (await publish()).duplicate).toBe(false);
  }

  test('is known to the aggregate', async () => {
    await newHandler().handle(accountRequest(open()));
    await newHandler().handle(accountRequest(deposit(5), { requestId: 'request-1' }));
    await windowHasPassed();
    for (const handler of [newHandler(), newHandler()]) {
      expect(await handler.handle(accountRequest(open()))).toMatchObject({ outcome: 'repeated', version: 1 });
      const again = handler.handle(accountRequest(deposit(5), { requestId: 'request-1' }));
      expect(await again).toMatchObject({ outcome: 'repeated', version: 2, position: { sequence: 2n } });
      const other = handler.handle(accountRequest(deposit(6), { requestId: 'request-1' }));
      await expect(other).rejects.toEqual(refusal('ALREADY_EXISTS', 'REQUEST_DIFFERS'));
    }
    expect(await balance()).toMatchObject({ balance: 5n });
  });

  test('is known to the aggregate for ever where it created it, and else among the sixteen latest', async () => {
    const handler = newHandler();
    await handler.handle(accountRequest(open()));
    for (let one = 1; one <= 20; one++) {
      await handler.handle(accountRequest(deposit(1), { requestId: `request ${one}` }));
    }
    await windowHasPassed();
    expect(await newHandler().handle(accountRequest(open()))).toMatchObject({ outcome: 'repeated', version: 1 });
    for (const one of [5, 20]) {
      const again = newHandler().handle(accountRequest(deposit(1), { requestId: `request ${one}` }));
      expect(await again).toMatchObject({ outcome: 'repeated', version: one + 1, position: { sequence: 21n } });
    }
    expect(await balance()).toMatchObject({ balance: 20n });
  });
});

describe('a decision', () => {
  test('to refuse is never made on what was true a while ago', async () => {
    const [here, there] = [newHandler(), newHandler()];
    await here.handle(accountRequest(open()));
    await there.handle(accountRequest(deposit(100)));
    // Here the account is still thought to be empty.
    expect(await here.handle(accountRequest(withdraw(60)))).toMatchObject({ version: 3, state: { balance: 40n } });
  });

  test('that there is nothing to do is never made on what was true a while ago', async () => {
    const [here, there] = [newHandler(), newHandler()];
    await here.handle(accountRequest(open()));
    await there.handle(accountRequest(deposit(100)));
    expect(await here.handle(accountRequest(deposit(0)))).toMatchObject({ outcome: 'unchanged', version: 2 });
  });

  test('that a request was made before is answered with how far the journal has come now', async () => {
    const [here, there] = [newHandler(), newHandler()];
    await here.handle(accountRequest(open()));
    await there.handle(accountRequest(deposit(100)));
    expect(await here.handle(accountRequest(open()))).toMatchObject({ version: 1, position: { sequence: 2n } });
  });

  test('that does not end in an event asks the leader, whatever a replica said', async () => {
    await newHandler().handle(accountRequest(open()));
    const reads = await watchReads();
    await expect(newHandler().handle(accountRequest(withdraw(5)))).rejects.toThrow(CallError);
    expect(await reads()).toEqual({ direct: 1, leader: 1 });
    await newHandler().handle(accountRequest(deposit(0)));
    expect(await reads()).toEqual({ direct: 2, leader: 2 });
  });

  test('after a conflict is made on what the leader says', async () => {
    const [here, there] = [newHandler(), newHandler()];
    await here.handle(accountRequest(open()));
    await there.handle(accountRequest(deposit(5)));
    const reads = await watchReads();
    await here.handle(accountRequest(deposit(7)));
    // Once to see that what is last is not its own, once to load.
    expect(await reads()).toEqual({ direct: 0, leader: 2 });
  });

  test('costs one read however long the history is, and none where the state is known', async () => {
    const handler = newHandler();
    await handler.handle(accountRequest(open()));
    for (let one = 0; one < 30; one++) {
      await handler.handle(accountRequest(deposit(1), { requestId: `request ${one}` }));
    }
    const reads = await watchReads();
    const other = newHandler();
    expect(await other.handle(accountRequest(deposit(2)))).toMatchObject({ version: 32, state: { balance: 32n } });
    expect(await reads()).toEqual({ direct: 1, leader: 0 });
    await other.handle(accountRequest(deposit(3)));
    expect(await reads()).toEqual({ direct: 1, leader: 0 });
  });

  test('is not made on top of a message that is no event', async () => {
    await newHandler().handle(accountRequest(open()));
    await broker.js.publish(subject(), 'hello');
    await expect(newHandler().handle(accountRequest(deposit(5)))).rejects.toThrow(PermanentError);
    await expect(newHandler().handle(accountRequest(open()))).rejects.toThrow(PermanentError);
    expect(await journal.lastSequence()).toBe(2);
  });
});

describe('the state that an event carries', () => {
  const changed = { ...accountAggregate, state: { ...accountAggregate.state, version: 2 } };
  const changedHandler = () => new CommandHandler(journal, changed, personalData, clock);

  async function publishOld(type: typeof PaidInSchema, units: bigint, version: number) {
    const context: EventContext = {
      id: `old ${version}`,
      type: type.typeName,
      source: journal.declaration.service,
      key: accountId,
      time: clock(),
      version,
      correlationId: '',
      causationId: '',
      actor: '',
      traceparent: '',
      tracestate: '',
    };
    await journal.append({
      subject: subject(),
      data: toBinary(type, create(type, { accountId, units })),
      headers: eventHeaders(context),
      id: context.id,
      expectedSequence: version - 1,
    });
  }

  test('is made anew from the history where another version of the program wrote it, old events included', async () => {
    await newHandler().handle(accountRequest(open()));
    await publishOld(PaidInSchema, 3n, 2);
    expect(await changedHandler().handle(accountRequest(deposit(5)))).toMatchObject({
      version: 3,
      state: { ownerName: 'Anna Karenina', balance: 305n },
    });
    const stored = await journal.lastOnLeader(subject());
    expect(stored?.headers.get('Causeway-State-Version')).toBe('2');
  });

  test('is read as it is by the version that wrote it', async () => {
    await newHandler().handle(accountRequest(open()));
    await changedHandler().handle(accountRequest(deposit(5)));
    const reads = await watchReads();
    expect(await changedHandler().handle(accountRequest(deposit(6)))).toMatchObject({ state: { balance: 11n } });
    expect(await reads()).toEqual({ direct: 1, leader: 0 });
  });

  test('remembers requests over a change of its version', async () => {
    await newHandler().handle(accountRequest(open()));
    await newHandler().handle(accountRequest(deposit(5)));
    expect(await changedHandler().handle(accountRequest(deposit(5)))).toMatchObject({
      outcome: 'repeated',
      version: 2,
    });
  });

  test('may have nearly 40 KiB', async () => {
    const name = 'x'.repeat(30_000);
    await newHandler().handle(accountRequest(open(name)));
    expect(await balance()).toMatchObject({ ownerName: name });
  });

  test('of more than 40 KiB is refused before anything is stored', async () => {
    const tooMuch = newHandler().handle(accountRequest(open('x'.repeat(31_000))));
    await expect(tooMuch).rejects.toThrow(RangeError);
    await expect(tooMuch).rejects.toThrow('at most 40960 fit');
    expect(await journal.lastSequence()).toBe(0);
  });

  test.each([
    ['Causeway-State', Buffer.of(0x0a, 0x7f).toString('base64')],
    ['ce-version', 'two'],
  ])('that can not be read, for its header %s, leads to no decision', async (name, value) => {
    await newHandler().handle(accountRequest(open()));
    const last = await journal.lastOnLeader(subject());
    if (last === undefined) throw new Error('nothing was stored');
    const { headers, data } = last;
    headers.set(name, value);
    await journal.append({ subject: subject(), data, headers, id: 'broken', expectedSequence: 1 });
    await expect(newHandler().handle(accountRequest(deposit(5)))).rejects.toThrow(PermanentError);
  });
});

describe('personal data', () => {
  const owner = () => `owner of ${accountId}`;
  const types = new EventTypes(Object.values(accountAggregate.events));

  /** All that the broker has stored of a message, headers as bytes. */
  async function storedBytes(seq: number) {
    const answer = await broker.connection.request(`$JS.API.STREAM.MSG.GET.${journal.stream}`, JSON.stringify({ seq }));
    const { message } = answer.json<{ message: { hdrs: string; data?: string } }>();
    return [Buffer.from(message.hdrs, 'base64'), Buffer.from(message.data ?? '', 'base64')];
  }

  test('stands nowhere in what is stored, neither in the body nor in the headers', async () => {
    const handler = newHandler();
    await handler.handle(accountRequest(open()));
    await handler.handle(accountRequest(deposit(5)));
    for (const sequence of [1, 2]) {
      const state = (await journal.history(subject()))[sequence - 1]?.headers.get('Causeway-State') ?? '';
      const all = [...(await storedBytes(sequence)), Buffer.from(state, 'base64')];
      expect(state).not.toBe('');
      expect(all.some((bytes) => bytes.includes('Anna') || bytes.includes('Karenina'))).toBe(false);
    }
  });

  test('is there for another process that has the keys', async () => {
    await newHandler().handle(accountRequest(open()));
    expect(await balance()).toEqual({ status: 'Open', ownerName: 'Anna Karenina', balance: 0n });
  });

  test('is gone after its key was destroyed, and what else was stored is there', async () => {
    await newHandler().handle(accountRequest(open()));
    await newHandler().handle(accountRequest(deposit(5)));
    await personalData.destroy(owner());
    expect(await balance()).toEqual({ status: 'Open', ownerName: '', balance: 5n });
    const [opened] = await journal.history(subject());
    if (opened === undefined) throw new Error('nothing was stored');
    expect((await readEvent(opened, types, personalData)).data).toMatchObject({ accountId, ownerName: '' });
  });

  test('does not come back by a handler that had it in memory when its key was destroyed', async () => {
    const handler = newHandler();
    await handler.handle(accountRequest(open()));
    await personalData.destroy(owner());
    await handler.handle(accountRequest(deposit(5)));
    expect(await balance()).toEqual({ status: 'Open', ownerName: '', balance: 5n });
    const last = await journal.lastOnLeader(subject());
    expect(last?.headers.get('Causeway-Key')).toMatch(/\.2$/);
  });

  test('does not open where it was moved to another aggregate', async () => {
    await newHandler().handle(accountRequest(open()));
    const [stored] = await journal.history(subject());
    if (stored === undefined) throw new Error('nothing was stored');
    const elsewhere = subjectOf(journal.declaration.service, 'account', `${accountId}-b`);
    await expect(readEvent({ ...stored, subject: elsewhere }, types, personalData)).rejects.toThrow(PermanentError);
  });

  describe('whose owner the aggregate knows, and its requests do not say', () => {
    const knowing = () => {
      const dataOwner = ({ status }: { status: string }) => (status === 'None' ? undefined : owner());
      return new CommandHandler(journal, { ...accountAggregate, dataOwner }, personalData, clock);
    };
    const request = (command: AccountCommand) => {
      const { dataOwner: _, ...others } = accountRequest(command);
      return others;
    };

    test('is sealed with the key of that owner', async () => {
      const handler = knowing();
      await handler.handle(request(open()));
      await handler.handle(request(deposit(5)));
      await knowing().handle(request(deposit(6)));
      const { id } = await personalData.keyOf(owner());
      for (const { headers, data, sequence } of await journal.history(subject())) {
        expect(headers.get('Causeway-Key')).toBe(id);
        const all = [...(await storedBytes(sequence)), data, Buffer.from(headers.get('Causeway-State'), 'base64')];
        expect(all.some((bytes) => Buffer.from(bytes).includes('Karenina'))).toBe(false);
      }
      expect(await balance()).toEqual({ status: 'Open', ownerName: 'Anna Karenina', balance: 11n });
    });

    test('is not looked for again by a handler that has it in memory', async () => {
      const handler = knowing();
      await handler.handle(request(open()));
      const reads = await watchReads();
      await handler.handle(request(deposit(5)));
      expect(await reads()).toEqual({ direct: 0, leader: 0 });
    });

    test('does not come back after its key was destroyed, and a repeat is known again all the same', async () => {
      const handler = knowing();
      await handler.handle(request(open()));
      await handler.handle(request(deposit(5)));
      await personalData.destroy(owner());
      expect(await handler.handle(request(deposit(6)))).toMatchObject({ version: 3, outcome: 'done' });
      expect(await handler.handle(request(deposit(5)))).toMatchObject({ version: 2, outcome: 'repeated' });
      expect(await balance()).toEqual({ status: 'Open', ownerName: '', balance: 11n });
    });
  });

  test('is not needed where a contract marks none', async () => {
    await newHandler().handle(accountRequest(open()));
    await newHandler().handle(accountRequest(deposit(5)));
    const deposited = (await journal.history(subject()))[1];
    const plain = toBinary(MoneyDepositedSchema, create(MoneyDepositedSchema, { accountId, amount: 5n }));
    expect(Buffer.from(deposited?.data ?? []).equals(plain)).toBe(true);
  });
});

describe('a command on a bad network', () => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** A handler that reaches the broker through a proxy. */
  async function farHandler() {
    const proxy = await startProxy(nats.url);
    const far = await connectBroker({ url: proxy.url, name: 'far' });
    closing.push(proxy.close, far.close);
    const keys = await PersonalData.open(far, MASTER_KEY);
    return { proxy, handler: newHandler(new Journal(journal.declaration, far), keys) };
  }

  test('whose answer is lost after it was stored is one event, and is answered', async () => {
    const { proxy, handler } = await farHandler();
    await handler.handle(accountRequest(open()));
    proxy.hold('answers');
    const answer = handler.handle(accountRequest(deposit(5)));
    await expect.poll(() => journal.lastSequence(), { interval: 10 }).toBe(2);
    proxy.cut();
    proxy.release('answers');
    expect(await answer).toMatchObject({ version: 2, state: { balance: 5n }, position: { sequence: 2n } });
    expect(await handler.handle(accountRequest(deposit(6)))).toMatchObject({ version: 3, state: { balance: 11n } });
    expect(await events()).toEqual(['AccountOpened', 'MoneyDeposited', 'MoneyDeposited']);
  });

  test.each([
    ['is known', true],
    ['is not known', false],
  ])('that nobody hears is an outage within two seconds, where the state %s', async (_, known) => {
    await newHandler().handle(accountRequest(open()));
    const { proxy, handler } = await farHandler();
    if (known) await handler.handle(accountRequest(deposit(1)));
    proxy.hold('requests');
    const started = performance.now();
    await expect(handler.handle(accountRequest(deposit(5)))).rejects.toThrow(UnavailableError);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(await balance()).toMatchObject({ balance: known ? 1n : 0n });
  });

  test('that nobody heard in time, and its caller makes again, is one event', async () => {
    const { proxy, handler } = await farHandler();
    await handler.handle(accountRequest(open()));
    proxy.hold('requests');
    await expect(handler.handle(accountRequest(deposit(5)))).rejects.toThrow(UnavailableError);
    proxy.release('requests');
    expect(await handler.handle(accountRequest(deposit(5)))).toMatchObject({ version: 2, state: { balance: 5n } });
    expect(await events()).toEqual(['AccountOpened', 'MoneyDeposited']);
  });

  test('while the broker is killed and comes back goes on with the same handler, nothing lost and nothing twice', async () => {
    const own = await ownNats({ syncAlways: true });
    const restarted = await connectBroker({ url: own.url, name: 'restarted' });
    closing.push(restarted.close);
    journal = new Journal(journalOf('accounts'), restarted);
    await journal.ensure();
    const handler = newHandler(journal, await PersonalData.open(restarted, MASTER_KEY));
    await handler.handle(accountRequest(open()));

    let acknowledged = 0;
    let outages = 0;
    const persist = async (one: number) => {
      for (;;) {
        try {
          await handler.handle(accountRequest(deposit(1), { requestId: `request ${one}` }));
          acknowledged++;
          return;
        } catch (error) {
          const mayTryAgain =
            error instanceof UnavailableError || (error instanceof CallError && error.code === 'ABORTED');
          if (!mayTryAgain) throw error;
          if (error instanceof UnavailableError) outages++;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    };
    const all = (async () => {
      for (let one = 1; one <= 40; one++) await persist(one);
    })();
    await expect.poll(() => acknowledged, { interval: 1, timeout: 5_000 }).toBeGreaterThan(4);
    await own.kill('SIGKILL');
    await expect.poll(() => outages).toBeGreaterThan(0);
    await own.restart();
    await all;
    const stored = await journal.history(subject());
    expect(stored).toHaveLength(41);
    expect((await handler.state(accountId))?.state).toMatchObject({ balance: 40n });
  });
});

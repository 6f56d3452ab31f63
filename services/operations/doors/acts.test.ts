import { create, type DescMessage, type Message } from '@bufbuild/protobuf';
import { headers } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError, UnavailableError } from '#kit/errors.ts';
import type { Call } from '#kit/rpc/call.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { actAggregate } from '../adapters/act-aggregate.ts';
import { type Act, type ActCommand, act } from '../domain/act.ts';
import { type ActParts, Acts, type Asked, type Desk, type ParkedRow } from './acts.ts';
import { discard } from './discard.ts';
import { replay } from './replay.ts';

const consumer = 'shop-greet';

/** Ends everything, as a crash does: nothing behind it is carried out. */
class Crash extends Error {}

/** Fails each time. */
const REFUSED = 99;

/** A broker and consumers in memory. At the n-th step the process dies, before or after the step is done. */
function world(letters: Record<string, number[]>, crash: { at: number; before: boolean } = { at: 0, before: true }) {
  const parked = new Map(Object.entries(letters));
  const handled: string[] = [];
  const discarded: number[] = [];
  const events: Message[] = [];
  const ids = new Set<string>();
  let state: Act = act.initialState;
  let steps = 0;
  let refusals = 0;

  async function step<Result>(carryOut: () => Result): Promise<Result> {
    const isLast = ++steps === crash.at;
    if (isLast && crash.before) throw new Crash();
    const result = carryOut();
    if (isLast) throw new Crash();
    return result;
  }

  const letterOf = (key: string, sequence: number) =>
    ({
      ...{ consumer, partition: 0, key, sequence, reason: 'REFUSED', error: '', attempts: 1, parkedAt: new Date(0) },
      ...{ stream: 'ORDERS', streamSequence: sequence, isLeftOut: false },
      message: { subject: '', sequence, stream: 'ORDERS', data: new Uint8Array(), headers: headers() },
    }) as ParkedRow['first'];

  const desk: Desk = {
    rows: async ({ key: only }) =>
      [...parked].flatMap(([key, [first, ...rest]]) => {
        if (first === undefined || (only !== undefined && only !== key)) return [];
        return [{ consumer, partition: 0, key, count: 1 + rest.length, first: letterOf(key, first) }];
      }),
    letter: async () => undefined,
    replay: ({ key }, { edited, first } = {}) =>
      step(() => {
        const row = parked.get(key) ?? [];
        if (row.length === 0) throw new CallError('NOT_FOUND', 'nothing is parked there');
        if (first !== undefined && first !== row[0]) throw new CallError('FAILED_PRECONDITION', 'another is first');
        const refused = row.indexOf(REFUSED);
        const done = row.splice(0, refused === -1 ? row.length : refused);
        handled.push(...done.map((sequence, index) => `${sequence}${edited && index === 0 ? ' edited' : ''}`));
        if (refused !== -1) refusals++;
        return { handled: done.length, remaining: row.length, error: refused === -1 ? '' : 'refused again' };
      }),
    discard: ({ key }, { firstOnly, first }) =>
      step(() => {
        const row = parked.get(key) ?? [];
        if (first !== undefined && first !== row[0]) throw new CallError('FAILED_PRECONDITION', 'another is first');
        const gone = row.splice(0, firstOnly ? 1 : row.length);
        discarded.push(...gone);
        return gone.length;
      }),
  };

  const parts: ActParts = {
    desk,
    letters: async ({ key }) => (parked.get(key) ?? []).map((sequence) => letterOf(key, sequence)),
    handle: ({ command, creates, content }: CommandRequest<ActCommand>) =>
      step(() => {
        const result = (outcome: CommandResult<Act>['outcome']) =>
          ({ version: creates ? 1 : events.length, state, outcome }) as CommandResult<Act>;
        if (creates && events.length > 0) return result('repeated');
        const decided = act.decide(command, state);
        if (decided === undefined) return result('unchanged');
        if ('refused' in decided) throw new CallError(decided.refused, decided.message, { reason: decided.reason });
        // What makes an event's id: the journal takes none twice.
        const id = `${decided.type} ${Buffer.from(content)}`;
        if (ids.has(id)) return result('repeated');
        ids.add(id);
        state = act.evolve(state, decided);
        const type: DescMessage = actAggregate.events[decided.type];
        events.push(create(type, decided as never));
        return result('done');
      }),
    record: async () => [...events],
    logger: silent,
  };
  return { parts, desk, handled, discarded, events, steps: () => steps, refusals: () => refusals };
}

type World = ReturnType<typeof world>;

const call = { caller: { subject: 'olga', role: 'operator' }, signal: new AbortController().signal } as Call;
const asked: Asked = {
  call,
  requestId: 'request-1',
  content: Buffer.from('content'),
  selection: { consumer, key: '', reason: '', eventType: '', all: false },
  note: 'mended',
};

/** Makes the call as often as it takes, each time in a new process. */
async function untilAnswered<Answer>({ parts }: World, ask: (acts: Acts) => Promise<Answer>): Promise<Answer> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      return await ask(new Acts(parts));
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    }
  }
  throw new Error('it was never answered');
}

async function replayAll(acts: Acts, { desk }: World, edit?: { sequence: number; data: Uint8Array }) {
  const outcomes = [];
  for await (const { outcome } of replay(acts, desk, asked, async () => edit)) outcomes.push(outcome);
  return outcomes;
}

const moments = (steps: number) =>
  Array.from({ length: steps }, (_, index) => [
    { at: index + 1, before: true },
    { at: index + 1, before: false },
  ]).flat();

describe('a process that dies at any moment of', () => {
  test('a replay: every message is handled once, and the answer is the same as without', async () => {
    const letters = { a: [1, 4], b: [2, REFUSED], c: [3, 5, 6] };
    const undisturbed = world(structuredClone(letters));
    const answer = await untilAnswered(undisturbed, (acts) => replayAll(acts, undisturbed));
    expect(answer.map(({ key, handled, remaining }) => [key, handled, remaining])).toEqual([
      ['a', 2, 0],
      ['b', 1, 1],
      ['c', 3, 0],
    ]);

    for (const crash of moments(undisturbed.steps())) {
      const disturbed = world(structuredClone(letters), crash);
      expect(await untilAnswered(disturbed, (acts) => replayAll(acts, disturbed)), JSON.stringify(crash)).toEqual(
        answer,
      );
      expect(disturbed.handled).toEqual(['1', '4', '2', '3', '5', '6']);
      expect(await replayAll(new Acts(disturbed.parts), disturbed)).toEqual(answer);
      expect(disturbed.events.at(-1)).toMatchObject({ keys: 3, messages: 6, interrupted: false });
    }
  });

  test('a replay with an edit: the edit is made once, and on no other message', async () => {
    const letters = { a: [1, 4, REFUSED] };
    const edit = { sequence: 1, data: Buffer.from('edited') };
    const undisturbed = world(structuredClone(letters));
    await untilAnswered(undisturbed, (acts) => replayAll(acts, undisturbed, edit));

    for (const crash of moments(undisturbed.steps())) {
      const disturbed = world(structuredClone(letters), crash);
      const [outcome] = await untilAnswered(disturbed, (acts) => replayAll(acts, disturbed, edit));
      expect(outcome, JSON.stringify(crash)).toMatchObject({ handled: 2, remaining: 1, error: 'refused again' });
      expect(disturbed.handled, JSON.stringify(crash)).toEqual(['1 edited', '4']);
    }
  });

  test.each([true, false])(
    'a discard, of first messages only: %s: no more is thrown away than was asked',
    async (firstOnly) => {
      const letters = { a: [1, 4], b: [2] };
      const undisturbed = world(structuredClone(letters));
      const answer = await untilAnswered(undisturbed, (acts) => discard(acts, undisturbed.desk, asked, firstOnly));
      expect(answer).toEqual({ discarded: firstOnly ? 2 : 3, keys: 2 });

      for (const crash of moments(undisturbed.steps())) {
        const disturbed = world(structuredClone(letters), crash);
        const again = await untilAnswered(disturbed, (acts) => discard(acts, disturbed.desk, asked, firstOnly));
        expect(again, JSON.stringify(crash)).toEqual(answer);
        expect(disturbed.discarded).toEqual(firstOnly ? [1, 2] : [1, 4, 2]);
      }
    },
  );
});

test('a caller that goes away ends it after the key at work; the same request goes on, and tries no key again', async () => {
  const left = world({ a: [REFUSED], b: [2], c: [3] });
  const gone = new AbortController();
  const leaving: Asked = { ...asked, call: { ...call, signal: gone.signal } };

  const keys: string[] = [];
  for await (const { outcome } of replay(new Acts(left.parts), left.desk, leaving, async () => undefined)) {
    keys.push(outcome.key);
    gone.abort();
  }
  expect(keys).toEqual(['a']);
  expect(left.events.at(-1)).toMatchObject({ interrupted: true });

  const outcomes = await replayAll(new Acts(left.parts), left);
  expect(outcomes.map(({ key, error }) => [key, error])).toEqual([
    ['a', 'refused again'],
    ['b', ''],
    ['c', ''],
  ]);
  expect(left.refusals()).toBe(1);
});

test('what is tried again is on record again: each of its events is another one', async () => {
  const away = world({ a: [1], b: [2] });
  const { desk, parts } = away;
  const unowned: Desk = {
    ...desk,
    discard: async (row, options) => {
      if (row.key === 'b') throw new UnavailableError('nobody owns the partition now');
      return desk.discard(row, options);
    },
  };
  for (let time = 1; time <= 2; time++) {
    const tried = discard(new Acts({ ...parts, desk: unowned }), unowned, asked, false);
    await expect(tried).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  }

  expect(await discard(new Acts(parts), desk, asked, false)).toEqual({ discarded: 2, keys: 2 });

  const kinds = away.events.map(({ $typeName }) => $typeName.split('.').at(-1));
  const tried = ['ParkedKeyTaken', 'ParkedKeyDiscarded', 'DeadLetterActEnded'];
  expect(kinds).toEqual([
    'DeadLetterDiscardRequested',
    'ParkedKeyTaken',
    'ParkedKeyDiscarded',
    ...tried,
    ...tried,
    ...tried,
  ]);
  expect(away.events.at(-1)).toMatchObject({ keys: 2, messages: 2, interrupted: false });
});

test('an edit whose message is not the first any more is not made, and that is told', async () => {
  const changed = world({ a: [2] });

  const outcomes = await replayAll(new Acts(changed.parts), changed, { sequence: 1, data: Buffer.from('edited') });

  expect(outcomes).toMatchObject([{ handled: 0, remaining: 1, error: 'another is first' }]);
  expect(changed.handled).toEqual([]);
});

test('a key of which nothing is parked any more when its turn comes is no error', async () => {
  const emptied = world({ a: [1], b: [2] });
  const { desk } = emptied;
  const acts = new Acts(emptied.parts);
  const outcomes = [];
  for await (const { outcome } of replay(acts, desk, asked, async () => undefined)) {
    outcomes.push(outcome);
    if (outcome.key === 'a') await desk.discard({ consumer, partition: 0, key: 'b' }, { firstOnly: false });
  }

  expect(outcomes).toMatchObject([
    { key: 'a', handled: 1, error: '' },
    { key: 'b', handled: 0, remaining: 0, error: '' },
  ]);
});

test('where another process is at work on another key of the act, the call is refused', async () => {
  const shared = world({ a: [1], b: [2] });
  await untilAnswered(shared, async (acts) => {
    const progress = replay(acts, shared.desk, asked, async () => undefined);
    await progress.next();
    const take = { type: 'TakeKey', actId: 'x', consumer, partition: 0, key: 'c', messages: 1, listed: [] } as const;
    await shared.parts.handle({ command: take, content: Buffer.from('') } as unknown as CommandRequest<ActCommand>);
    await expect(progress.next()).rejects.toMatchObject({ details: { reason: 'ACT_AT_WORK' } });
  });
});

test('each key waits for its turn where a pace is set, and who goes away while it waits ends the act', async () => {
  const shop = world({ a: [1], b: [2], c: [3] });
  const end = new AbortController();
  const handledAtTurns: string[][] = [];
  const pace = async () => {
    handledAtTurns.push([...shop.handled]);
    if (shop.handled.length === 2) end.abort();
  };

  const paced = { ...asked, call: { ...call, signal: end.signal }, pace };
  for await (const _ of replay(new Acts(shop.parts), shop.desk, paced, async () => undefined));

  expect(handledAtTurns).toEqual([[], ['1'], ['1', '2']]);
  expect(shop.handled).toEqual(['1', '2']);
  expect(shop.events.at(-1)).toMatchObject({
    $typeName: 'causeway.operations.v1.DeadLetterActEnded',
    interrupted: true,
  });
});

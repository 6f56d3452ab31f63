import { expect, test, vi } from 'vitest';
import { type LaneRules, Lanes, type Outcome, Places } from './lanes.ts';

type Item = { key: string; name: string };

/** Lanes whose items are finished by hand. */
function handOperated(rules: Partial<LaneRules<Item>> = {}) {
  const started: string[] = [];
  const running = new Map<string, (outcome: Outcome) => void>();
  const lanes = new Lanes<Item>({
    keyOf: ({ key }) => key,
    limit: () => 16,
    places: new Places(16),
    alone: () => false,
    run: ({ name }) => {
      started.push(name);
      return new Promise((resolve) => running.set(name, resolve));
    },
    ...rules,
  });
  const add = (...names: string[]) => {
    for (const name of names) lanes.add({ key: name[0] ?? '', name });
  };
  const end = async (name: string, outcome: Outcome = 'finished') => {
    running.get(name)?.(outcome);
    running.delete(name);
    await new Promise(setImmediate);
  };
  return { lanes, started, running, add, end };
}

test('items of one key are handled one after another, and other keys at the same time', async () => {
  const { started, add, end } = handOperated();
  add('a1', 'a2', 'b1');
  expect(started).toEqual(['a1', 'b1']);
  await end('a1');
  expect(started).toEqual(['a1', 'b1', 'a2']);
});

test('no more keys are at work at once than the limit allows', async () => {
  const { started, add, end } = handOperated({ limit: () => 2 });
  add('a1', 'b1', 'c1');
  expect(started).toEqual(['a1', 'b1']);
  await end('b1');
  expect(started).toEqual(['a1', 'b1', 'c1']);
});

test('a key that waits for its next try lets none of its later items pass, and takes no place from other keys', async () => {
  const { started, add, end } = handOperated({ limit: () => 1 });
  add('a1', 'a2', 'b1');
  await end('a1', { againAfterMs: 5 });
  expect(started).toEqual(['a1', 'b1']);
  await end('b1');
  await vi.waitFor(() => expect(started).toEqual(['a1', 'b1', 'a1']));
  await end('a1');
  expect(started).toEqual(['a1', 'b1', 'a1', 'a2']);
});

test('what is to be tried again at once is the first to start after a pause', async () => {
  const { lanes, started, add, end } = handOperated({ limit: () => 1 });
  add('a1', 'b1');
  lanes.pause(5);
  lanes.pause(10);
  await end('a1', { againAfterMs: 0 });
  expect(started).toEqual(['a1']);
  await vi.waitFor(() => expect(started).toEqual(['a1', 'a1']));
});

test('an item that has to be alone starts when nothing is at work, and nothing starts beside it', async () => {
  const { started, add, end } = handOperated({ alone: ({ name }) => name === 'b1' });
  add('a1', 'b1', 'c1');
  expect(started).toEqual(['a1']);
  await end('a1');
  expect(started).toEqual(['a1', 'b1']);
  await end('b1');
  expect(started).toEqual(['a1', 'b1', 'c1']);
});

test('closing starts nothing more and waits for what is at work', async () => {
  const { lanes, started, add, end } = handOperated();
  add('a1', 'a2');
  let closed = false;
  const closing = lanes.close().then(() => {
    closed = true;
  });
  await new Promise(setImmediate);
  expect(closed).toBe(false);
  await end('a1');
  await closing;
  expect(started).toEqual(['a1']);
});

test('lanes that share places have no more keys at work together, and take turns', async () => {
  const places = new Places(2);
  const one = handOperated({ places });
  const other = handOperated({ places });
  one.add('a1', 'b1', 'c1', 'd1');
  other.add('e1', 'f1');
  expect([one.started, other.started]).toEqual([['a1', 'b1'], []]);
  await one.end('a1');
  await one.end('b1');
  expect([one.started, other.started]).toEqual([['a1', 'b1', 'c1'], ['e1']]);
});

test('a place that lanes wait for which are closed meanwhile goes to the next', async () => {
  const places = new Places(1);
  const [first, closed, last] = [handOperated({ places }), handOperated({ places }), handOperated({ places })];
  first.add('a1');
  closed.add('b1');
  last.add('c1');
  await closed.lanes.close();
  await first.end('a1');
  expect([closed.started, last.started]).toEqual([[], ['c1']]);
});

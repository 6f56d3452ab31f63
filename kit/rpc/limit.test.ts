import { describe, expect, test } from 'vitest';
import { CallError } from '#kit/errors.ts';
import { callLimit } from './limit.ts';

const PER_SECOND = 200;

/** A limit, a clock that goes as the test says, and how many of so many calls are heard. */
function limited() {
  let time = 1_000;
  const limit = callLimit({ perSecond: PER_SECOND, streamsPerCaller: 2, now: () => time });
  const admitted = (calls: number, caller = 'eve') =>
    Array.from({ length: calls }, () => refusal(() => limit.admit(caller))).filter((refused) => refused === undefined)
      .length;
  const pass = (ms: number) => {
    time += ms;
  };
  return { limit, admitted, pass };
}

function refusal(work: () => void): CallError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof CallError) return error;
    throw error;
  }
}

describe('a limit of calls', () => {
  test('lets twice the rate through in one instant, and the rate from then on, wherever a second begins', () => {
    const { admitted, pass } = limited();

    expect(admitted(1_000)).toBe(2 * PER_SECOND);
    let heard = 0;
    for (let step = 0; step < 1_000; step++) {
      pass(10);
      heard += admitted(50);
    }
    // Ten seconds.
    expect(heard).toBe(10 * PER_SECOND);
  });

  test('never lets more than twice the rate through at once, however long a caller was quiet', () => {
    const { admitted, pass } = limited();
    admitted(1);

    for (const quietMs of [1_990, 2_000, 3_600_000]) {
      pass(quietMs);
      expect(admitted(1_000)).toBeLessThanOrEqual(2 * PER_SECOND);
      expect(admitted(1_000)).toBe(0);
    }
  });

  test('says when a call will be heard, and hears it then', () => {
    const { limit, admitted, pass } = limited();
    admitted(2 * PER_SECOND);

    const refused = refusal(() => limit.admit('eve'));

    expect(refused).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      details: { reason: 'TOO_MANY_CALLS', retryAfterMs: 5 },
    });
    pass(4);
    expect(admitted(1)).toBe(0);
    pass(1);
    expect(admitted(2)).toBe(1);
  });

  test('is of each caller by itself, and of nobody where it is 0', () => {
    const { admitted } = limited();
    admitted(1_000);

    expect(admitted(1_000, 'bob')).toBe(2 * PER_SECOND);
    const none = callLimit({ perSecond: 0, streamsPerCaller: 2 });
    expect(() => Array.from({ length: 1_000 }, () => none.admit('eve'))).not.toThrow();
  });
});

test('a caller has so many streams open and no more, and another one for each that it closes', () => {
  const { limit } = limited();
  const [close] = [limit.open('eve'), limit.open('eve')];

  expect(refusal(() => limit.open('eve'))).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    details: { reason: 'TOO_MANY_STREAMS' },
  });
  expect(refusal(() => limit.open('bob'))).toBeUndefined();
  close?.();
  // Twice counts once.
  close?.();
  expect(refusal(() => limit.open('eve'))).toBeUndefined();
  expect(refusal(() => limit.open('eve'))).toBeDefined();
});

import { UnavailableError } from './errors.ts';

/** What is done once in a key's lane, beside its messages. */
export type Errand = { key: string; run(): Promise<void> };

/** An operator is not kept waiting for longer by keys that are at work. */
const STARTS_WITHIN_MS = 10_000;

/**
 * Runs something when it is the key's turn, with nothing else of the key at work, and answers what it answers.
 * @param ended aborts when the lanes end: what has not begun by then is not done.
 * @throws UnavailableError where it can't begin.
 */
export async function runInLane<Answer>(
  lanes: { add(errand: Errand): void },
  key: string,
  ended: AbortSignal,
  run: () => Promise<Answer>,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  let isGivenUp = false;
  const giveUp = (why: string) => {
    isGivenUp = true;
    reject(new UnavailableError(why));
  };
  const late = setTimeout(() => giveUp('the partition has other keys at work'), STARTS_WITHIN_MS);
  const end = () => giveUp('the owner of the partition stops, or begins again');
  const begin = () => {
    clearTimeout(late);
    ended.removeEventListener('abort', end);
  };
  ended.addEventListener('abort', end, { once: true });
  lanes.add({
    key,
    run: async () => {
      begin();
      if (!isGivenUp) await run().then(resolve, reject);
    },
  });
  try {
    return await promise;
  } finally {
    begin();
  }
}

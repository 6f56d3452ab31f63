import { expect, test, vi } from 'vitest';
import type { InstallationLook } from '#kit/installation/look.ts';
import { Overview } from './overview.ts';

const nothing: InstallationLook = { at: 0, missing: [] };

function overviewOf(look: () => Promise<InstallationLook>) {
  return new Overview(
    {
      look,
      diagnose: async () => [],
      pulse: async () => ({ minutes: [], outcomes: [] }),
      open: async () => ({ open: 0, needingAttention: 0, overdue: 0 }),
      latencies: async () => ({ confirmed: [], completed: [] }),
      clock: () => new Date(),
    },
    { everyMs: 1 },
  );
}

test('it is looked while somebody watches, for all of them, and not once the last one is gone', async () => {
  let looking = 0;
  let most = 0;
  const look = vi.fn(async () => {
    most = Math.max(most, ++looking);
    await undefined;
    looking--;
    return nothing;
  });
  const overview = overviewOf(look);
  expect(look).not.toHaveBeenCalled();
  const [one, other] = [overview.watch(new AbortController().signal), overview.watch(new AbortController().signal)];
  await Promise.all([one.next(), other.next()]);
  await one.return(undefined);
  await other.next();
  await other.return(undefined);
  const looks = look.mock.calls.length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(look.mock.calls.length - looks).toBeLessThanOrEqual(1);
  expect(most).toBe(1);
});

test('a look that fails ends those who wait for it, and the next one who watches is shown another', async () => {
  const look = vi.fn(async () => nothing).mockRejectedValueOnce(new Error('a bug'));
  const overview = overviewOf(look);
  const watched = () => overview.watch(new AbortController().signal).next();
  await expect(watched()).rejects.toThrow('a bug');
  expect((await watched()).value).toMatchObject({ openFulfilments: 0 });
});

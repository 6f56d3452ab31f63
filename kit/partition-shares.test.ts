import { hash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ownersAmong, shareOf } from './partition-shares.ts';
import { allPartitions } from './partitions.ts';

const members = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 12 });

/** How many partitions have another owner. */
function moves(before: readonly string[], after: readonly string[]): number {
  return allPartitions.filter((partition) => before[partition] !== after[partition]).length;
}

test('every partition is owned by a member, shares differ by one at most, and the order of the members does not count', () => {
  fc.assert(
    fc.property(members, (ids) => {
      const shares = ids.map((id) => shareOf(id, ids));
      expect(shares.flat().toSorted()).toEqual(allPartitions);
      const sizes = shares.map((share) => share.length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      expect(ownersAmong(ids.toReversed())).toEqual(ownersAmong(ids));
    }),
  );
  expect(ownersAmong([])).toEqual([]);
});

test('a member that joins or goes leaves others some of what they had, whoever it is', () => {
  fc.assert(
    fc.property(members, fc.uuid(), (ids, other) => {
      fc.pre(!ids.includes(other));
      expect(moves(ownersAmong(ids), ownersAmong([...ids, other]))).toBeLessThan(allPartitions.length);
    }),
  );
});

test('on average a move is of its share and of less than two partitions more', () => {
  for (const count of [2, 3, 4, 6]) {
    const runs = Array.from({ length: 200 }, (_, run) => {
      const ids = Array.from({ length: count }, (_, index) => hash('sha256', `${run} ${index}`));
      const [, ...left] = ids;
      return moves(ownersAmong(ids), ownersAmong(left));
    });
    const average = runs.reduce((sum, each) => sum + each, 0) / runs.length;
    expect(average, `${count} members`).toBeLessThan(allPartitions.length / count + 2);
  }
});

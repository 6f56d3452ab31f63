import { hash } from 'node:crypto';
import { allPartitions } from './partitions.ts';

/**
 * Who of the members owns each partition: rendezvous hashing with bounded load. The highest hash of a partition and a
 * member counts first, and a member that has its share gets nothing more, so shares differ by one at most. The same
 * members lead to the same result, in whatever order they come; one that comes or goes moves little more than its share.
 * @returns the member by partition; empty where there is no member.
 */
export function ownersAmong(members: readonly string[]): string[] {
  const share = Math.floor(allPartitions.length / members.length);
  // As many members have one more as are needed for all.
  let larger = allPartitions.length % members.length;
  const owners: string[] = [];
  const sizes = new Map(members.map((member) => [member, 0]));
  for (const { partition, member } of byWeight(members)) {
    const size = sizes.get(member) ?? 0;
    if (owners[partition] !== undefined || size > share || (size === share && larger === 0)) continue;
    if (size === share) larger--;
    sizes.set(member, size + 1);
    owners[partition] = member;
  }
  return owners;
}

/** All pairs, the highest hash first. */
function byWeight(members: readonly string[]): { partition: number; member: string; weight: string }[] {
  return members
    .flatMap((member) =>
      allPartitions.map((partition) => ({ partition, member, weight: hash('sha256', `${partition} ${member}`) })),
    )
    .sort((one, other) => (one.weight < other.weight ? 1 : -1));
}

/** The partitions of one of the members. */
export function shareOf(member: string, members: readonly string[]): number[] {
  const owners = ownersAmong(members);
  return allPartitions.filter((partition) => owners[partition] === member);
}

import { answered, type Broker } from '../broker.ts';
import { ownersAmong } from '../partition-shares.ts';
import { allPartitions } from '../partitions.ts';
import { readDescriptions, type ServiceDescription } from '../service-descriptions.ts';
import { askMembers, type Member } from './members.ts';

/** How a service stands. */
export type InstalledService = {
  name: string;
  /** `away`: none of its processes answers, and its part waits. */
  status: 'up' | 'troubled' | 'away';
  /** Why it is not up, in words. */
  reasons: string[];
  members: Member[];
  /** Partitions that nobody is known to own, of a service that has something to own. */
  unownedPartitions: number[];
};

/**
 * Every service that ever started here, and how it is; one that does not answer keeps no other from being told.
 * @throws UnavailableError where the broker is away.
 */
export async function installedServices(broker: Broker, clock?: () => Date): Promise<InstalledService[]> {
  const [descriptions, members] = await Promise.all([
    readDescriptions(broker),
    answered(broker, () => askMembers(broker, clock)),
  ]);
  return servicesFrom(descriptions, members);
}

/** How services stand, by what is known of them and what their members say. */
function servicesFrom(descriptions: readonly ServiceDescription[], members: readonly Member[]): InstalledService[] {
  const names = new Set([...descriptions, ...members].map(({ service }) => service));
  return [...names].toSorted().map((name) => {
    const own = members.filter(({ service }) => service === name);
    const description = descriptions.find(({ service }) => service === name);
    return serviceFrom(name, own, description?.consumers.length !== 0);
  });
}

function serviceFrom(name: string, members: Member[], ownsPartitions: boolean): InstalledService {
  const unownedPartitions = ownsPartitions ? unowned(members) : [];
  const reasons = members.flatMap((member) => {
    const said = member.isSilent ? ['it does not answer'] : (member.status?.reasons ?? []);
    // With one member there is no doubt which one is meant.
    return members.length === 1 ? said : said.map((reason) => `${member.id}: ${reason}`);
  });
  if (members.every(({ isSilent }) => isSilent)) {
    const away = members.length === 0 ? ['no process of it runs'] : reasons;
    return { name, status: 'away', reasons: away, members, unownedPartitions };
  }
  if (unownedPartitions.length > 0) reasons.push(`nobody owns ${partitionWords(unownedPartitions)}`);
  return { name, status: reasons.length === 0 ? 'up' : 'troubled', reasons, members, unownedPartitions };
}

/** What a member of which nothing is known would own is not called unowned: it may well be at work on it. */
function unowned(members: readonly Member[]): number[] {
  const owners = ownersAmong(members.map(({ id }) => id));
  const isOwned = (partition: number) =>
    members.some(({ status }) => status?.partitions.includes(partition)) ||
    members.find(({ id }) => id === owners[partition])?.status === undefined;
  return members.length === 0 ? [...allPartitions] : allPartitions.filter((partition) => !isOwned(partition));
}

/** Such as `partition 3`, or `partitions 1, 2`. */
export function partitionWords(partitions: readonly number[]): string {
  return `partition${partitions.length === 1 ? '' : 's'} ${partitions.join(', ')}`;
}

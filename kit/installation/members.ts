import type { Broker } from '../broker.ts';
import { entriesOf } from '../bucket-entries.ts';
import type { MemberStatus } from '../member-status.ts';
import { HOW_IT_IS, isNoResponders, memberAddress, OWNERS_BUCKET } from '../ownership.ts';

/** A process that runs a service. */
export type Member = {
  service: string;
  id: string;
  /** As it says itself; undefined: it is silent, or of a program that only says that it is there. */
  status: MemberStatus | undefined;
  isSilent: boolean;
  /** How far its clock is ahead of ours, not exact to less than the time that its answer took. 0 without a status. */
  clockAheadMs: number;
};

/** A member that has more to do than to answer counts as silent. */
const ANSWER_WITHIN_MS = 1_000;

/**
 * All processes whose heartbeat has not expired, each asked how it is; none is waited for longer than a second. One
 * that can't be reached any more is left out.
 */
export async function askMembers(broker: Broker, clock: () => Date = () => new Date()): Promise<Member[]> {
  const entries = await entriesOf(broker, OWNERS_BUCKET);
  const members = await Promise.all(
    entries.map(async ({ key }) => {
      const [service = '', id = ''] = key.split('.');
      return askMember(broker, service, id, clock);
    }),
  );
  return members.flatMap((member) => member ?? []);
}

async function askMember(
  { connection }: Broker,
  service: string,
  id: string,
  clock: () => Date,
): Promise<Member | undefined> {
  const unknown = { service, id, status: undefined, clockAheadMs: 0 };
  const asked = clock().getTime();
  try {
    const answer = await connection.request(memberAddress(service, id), HOW_IT_IS, { timeout: ANSWER_WITHIN_MS });
    const status = statusFrom(answer.string());
    if (status === undefined) return { ...unknown, isSilent: false };
    return { service, id, status, isSilent: false, clockAheadMs: status.now - (asked + clock().getTime()) / 2 };
  } catch (error) {
    return isNoResponders(error) ? undefined : { ...unknown, isSilent: true };
  }
}

function statusFrom(text: string): MemberStatus | undefined {
  try {
    const found = JSON.parse(text) as MemberStatus;
    const { partitions, reasons, retrying, now, startedAt } = found;
    const isWhole = [partitions, reasons, retrying].every(Array.isArray) && [now, startedAt].every(Number.isFinite);
    return isWhole ? found : undefined;
  } catch {
    return undefined;
  }
}

/** How many partitions every journal has. Fixed for ever: a key's partition is part of its subject. */
const PARTITIONS = 8;

const KEY = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The partition of a key: FNV-1a, 32 bits, of its UTF-8 bytes, modulo 8; the function behind NATS' own
 * `partition()` subject mapping, so that a broker's mapping agrees with it.
 */
export function partitionOf(key: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key, 'utf8')) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0) % PARTITIONS;
}

/** All partitions, 0 to 7. */
export const allPartitions: readonly number[] = Array.from({ length: PARTITIONS }, (_, partition) => partition);

/**
 * The subject of one aggregate's events: `<service>.event.<partition>.<aggregate>.<key>`.
 * @throws RangeError for a key that can't stand in a subject.
 */
export function subjectOf(service: string, aggregate: string, key: string): string {
  if (!KEY.test(key)) throw new RangeError(`a key has 1 to 64 of A-Z a-z 0-9 _ -, not ${JSON.stringify(key)}`);
  return `${service}.event.${partitionOf(key)}.${aggregate}.${key}`;
}

export type SubjectParts = { service: string; partition: number; aggregate: string; key: string };

/**
 * What a subject made by subjectOf says; undefined for any other subject, also for one that names another partition
 * than its key's: whoever owns that partition is not the one who keeps the key's order.
 */
export function parseSubject(subject: string): SubjectParts | undefined {
  const [service, kind, partition, aggregate, key, ...rest] = subject.split('.');
  if (!service || kind !== 'event' || !aggregate || !key || rest.length > 0) return undefined;
  if (!KEY.test(key) || partition !== String(partitionOf(key))) return undefined;
  return { service, partition: Number(partition), aggregate, key };
}

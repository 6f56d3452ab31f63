import type { Broker } from './broker.ts';
import { findStream } from './streams.ts';

/** What stands under a key of a bucket. */
export type BucketEntry = { key: string; revision: number; writtenAt: Date; text: string };

/** The stream behind a bucket. */
export function bucketStream(bucket: string): string {
  return `KV_${bucket}`;
}

/**
 * What stands in a bucket now, in one request; from any replica, and so on a cluster possibly a little old. Of a bucket
 * that there is not: nothing.
 * @param keys a filter of keys, such as `orders.*`.
 */
export async function entriesOf({ manager }: Broker, bucket: string, keys = '>'): Promise<BucketEntry[]> {
  const prefix = `$KV.${bucket}.`;
  const stream = bucketStream(bucket);
  const entries: BucketEntry[] = [];
  try {
    const messages = await manager.direct.getLastMessagesFor(stream, { multi_last: [`${prefix}${keys}`] });
    for await (const message of messages) {
      if (message.header.get('KV-Operation') !== '') continue;
      const { subject, seq: revision, time: writtenAt } = message;
      entries.push({ key: subject.slice(prefix.length), revision, writtenAt, text: message.string() });
    }
  } catch (error) {
    // Nobody answers for a stream that there is not, as for one that has no leader now.
    if ((await findStream(manager, stream)) !== undefined) throw error;
  }
  return entries;
}

import type { Broker } from './broker.ts';
import { type BatchOptions, directBatch, NobodyAnswersError } from './direct-batch.ts';
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
 * @throws UnavailableError
 */
export async function entriesOf(
  broker: Broker,
  bucket: string,
  keys = '>',
  options: Pick<BatchOptions, 'answerMs'> = {},
): Promise<BucketEntry[]> {
  const prefix = `$KV.${bucket}.`;
  const stream = bucketStream(bucket);
  const query = { multi_last: [`${prefix}${keys}`] };
  try {
    const messages = await directBatch(broker, stream, query, { ...options, unreadable: 'is left out' });
    return messages
      .filter(({ headers }) => headers.get('KV-Operation') === '')
      .map(({ subject, sequence: revision, storedAtMicros, data }) => ({
        key: subject.slice(prefix.length),
        revision,
        writtenAt: new Date(storedAtMicros / 1_000),
        text: Buffer.from(data).toString(),
      }));
  } catch (error) {
    if (!(error instanceof NobodyAnswersError) || (await findStream(broker.manager, stream)) !== undefined) throw error;
    return [];
  }
}

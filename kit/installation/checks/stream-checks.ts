import { bucketStream } from '../../bucket-entries.ts';
import { PERSONAL_DATA_BUCKET } from '../../personal-data.ts';
import type { Check } from '../diagnosis.ts';
import { type InstalledStream, isFollowed } from '../streams.ts';

const NEARLY_FULL = 0.8;
const FULL = 0.95;
/** A publish whose answer was lost is repeated within seconds, by a process that hung within a minute or two. */
const DEDUP_WINDOW_MS = 120_000;
/** Fewer do not survive the loss of a machine. */
const REPLICAS_IN_PRODUCTION = 3;

export const streamChecks: readonly Check[] = [
  {
    name: 'stream-missing',
    ok: 'each stream is there that a service publishes to, and so are the keys of customers',
    look({ streams, descriptions }) {
      if (streams === undefined || descriptions === undefined) return undefined;
      const there = new Set(streams.map(({ name }) => name));
      const needed = descriptions.flatMap(({ journals }) => journals.map(({ stream }) => stream));
      return [...new Set([...needed, bucketStream(PERSONAL_DATA_BUCKET)])]
        .filter((name) => !there.has(name))
        .map((name) => ({
          severity: 'problem',
          subject: name,
          message: 'there is no such stream, and it is declared',
          remedy:
            'Where nothing was ever in it, start the services: they make it. Else restore it from its backup first (docs/operating.md); a stream that is made anew is empty.',
        }));
    },
  },
  {
    name: 'stream-drift',
    ok: 'every stream is as it is declared',
    look: ({ streams }) =>
      streams
        ?.filter(({ drift }) => drift.length > 0)
        .map(({ name, drift }) => ({
          severity: 'problem',
          subject: name,
          message: drift.join('; '),
          remedy: `Set it back with \`nats stream edit ${name}\`: what the platform promises hangs on it, and no service starts on it as it is.`,
        })),
  },
  {
    name: 'stream-replicas',
    ok: 'streams have the replicas that they are to have, and all of these are up to date',
    look({ streams, isProduction, broker }) {
      if (streams === undefined) return undefined;
      const tooFew = isProduction && broker.replicas < REPLICAS_IN_PRODUCTION;
      return [
        ...(tooFew
          ? [
              {
                severity: 'warning' as const,
                subject: '',
                message: `each stream has ${broker.replicas} replica${broker.replicas === 1 ? '' : 's'}: with the machine of one, what was acknowledged is lost`,
                remedy: 'Run the broker as a cluster of three, and set STREAM_REPLICAS=3.',
              },
            ]
          : []),
        ...streams.flatMap((stream) => replicaFindings(stream, broker.replicas)),
      ];
    },
  },
  {
    name: 'stream-fullness',
    ok: 'every stream has room for more',
    look: ({ streams }) =>
      streams
        ?.filter(({ bytes, maxBytes }) => maxBytes > 0 && bytes >= NEARLY_FULL * maxBytes)
        .map(({ name, bytes, maxBytes }) => ({
          severity: bytes >= FULL * maxBytes ? 'problem' : 'warning',
          subject: name,
          message: `it holds ${Math.floor((100 * bytes) / maxBytes)} % of what it may hold; full, it refuses everything`,
          remedy: `Give it room while all runs: \`nats stream edit ${name} --max-bytes ${2 * maxBytes}\`.`,
        })),
  },
  {
    name: 'dedup-window',
    ok: 'a message that is published twice is known again for long enough',
    look: ({ streams }) =>
      streams
        ?.filter((stream) => isFollowed(stream) && stream.service !== '' && stream.dedupWindowMs < DEDUP_WINDOW_MS)
        .map(({ name, dedupWindowMs }) => ({
          severity: 'warning',
          subject: name,
          message: `a message id is known again for ${dedupWindowMs / 1_000} s only; a repeat that comes later costs a conflict and another look`,
          remedy: `\`nats stream edit ${name} --dupe-window ${DEDUP_WINDOW_MS / 1_000}s\``,
        })),
  },
];

function replicaFindings({ name, replicas, replicasBehind }: InstalledStream, expected: number) {
  const behind = {
    severity: 'problem' as const,
    subject: name,
    message: `${replicasBehind} of ${replicas} replicas are not up to date, or not there`,
    remedy:
      'See to the broker that is away or slow: `nats server report jetstream`. With one more lost, nothing is taken.',
  };
  const other = {
    severity: 'warning' as const,
    subject: name,
    message: `it has ${replicas} replicas, not ${expected}`,
    remedy: `\`nats stream edit ${name} --replicas ${expected}\`, or set STREAM_REPLICAS to what is meant.`,
  };
  return [...(replicasBehind > 0 ? [behind] : []), ...(replicas === expected ? [] : [other])];
}

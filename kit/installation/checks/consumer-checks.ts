import { inWords } from '../consumer-trouble.ts';
import { consumerTrouble, type InstalledConsumer, total } from '../consumers.ts';
import type { Check, Evidence } from '../diagnosis.ts';
import type { Found } from '../finding.ts';
import { partitionWords } from '../services.ts';

/** Near what a consumer may have at hand, the broker gives it no more. */
const PILED_UP = 0.9;
/** Readers see what is older by about so many events. */
const VIEW_BEHIND = 1_000;
/** Builds of a view beside each other cost twice; for so long that is meant. */
const BUILDS_FOR_MS = 60 * 60 * 1_000;

export const consumerChecks: readonly Check[] = [
  {
    name: 'consumer-missing',
    ok: 'each consumer is there for each partition',
    look: (evidence) =>
      ofEach(evidence, ({ partitions, service }) => {
        const missing = partitions.filter(({ isMissing }) => isMissing).map(({ partition }) => partition);
        if (missing.length === 0) return [];
        const isAway = evidence.services?.find(({ name }) => name === service)?.status === 'away';
        return {
          severity: isAway ? 'warning' : 'problem',
          message: `the broker has no consumer for ${partitionWords(missing)}: nothing of it is handled`,
          remedy: `Start ${service}: the owner of a partition makes its consumers, and goes on from what was handled.`,
        };
      }),
  },
  {
    name: 'consumer-stalled',
    ok: 'every consumer that has something to do makes progress',
    look: (evidence) =>
      ofEach(evidence, (consumer) => {
        const message = consumerTrouble(consumer);
        if (message === '') return [];
        const remedy = `See \`causeway services\` for what ${consumer.service || 'its service'} waits for or tries again, and its log. A process that hangs is to be ended: another one goes on.`;
        return { severity: 'problem', message, remedy };
      }),
  },
  {
    name: 'unacknowledged',
    ok: 'no consumer has all at hand that it may have',
    look: (evidence) =>
      ofEach(evidence, ({ partitions, kind }) => {
        // A view takes all it can get until it has caught up.
        if (kind === 'projection') return [];
        const full = partitions.filter(
          ({ unacknowledged, maxUnacknowledged }) =>
            maxUnacknowledged > 0 && unacknowledged >= PILED_UP * maxUnacknowledged,
        );
        if (full.length === 0) return [];
        return {
          severity: 'warning',
          message: `${partitionWords(full.map(({ partition }) => partition))} have ${full.map(({ unacknowledged, maxUnacknowledged }) => `${unacknowledged} of ${maxUnacknowledged}`).join(', ')} unacknowledged messages: the broker gives no more`,
          remedy:
            'What it calls is slow or away. See its retries in `causeway services`, and the durations of its handler in /metrics.',
        };
      }),
  },
  {
    name: 'ack-wait',
    ok: 'the broker waits for an acknowledgement as long as an attempt may take',
    look: (evidence) =>
      ofEach(evidence, ({ partitions, attemptTimeoutMs = 0 }) => {
        const waits = partitions.filter(({ isMissing }) => !isMissing).map(({ ackWaitMs }) => ackWaitMs);
        const ackWaitMs = Math.min(...waits);
        if (waits.length === 0 || ackWaitMs >= attemptTimeoutMs) return [];
        return {
          severity: 'warning',
          message: `an attempt may take ${inWords(attemptTimeoutMs)}, and the broker hands a message out again after ${inWords(ackWaitMs)} without a sign of life: a process that is held up for so long has it handled twice at a time`,
          remedy:
            'Start its service anew: a start sets what the program declares. Who declares its own `ackWaitMs` makes it no shorter than `attemptTimeoutMs`.',
        };
      }),
  },
  {
    name: 'consumer-orphan',
    ok: 'every consumer belongs to a program',
    look: (evidence) =>
      ofEach(evidence, ({ isOrphan, name, stream, partitions }) => {
        if (!isOrphan) return [];
        return {
          severity: 'warning',
          message: `no program has it, and nobody pulls from it; ${total({ partitions }, 'lag')} messages wait for nobody`,
          remedy: `Where it belongs to a view's earlier version, or to a reaction that is gone, remove it, partition by partition: \`nats consumer rm ${stream} ${name}-${partitions[0]?.partition ?? 0}\`.`,
        };
      }),
  },
  {
    name: 'view-behind',
    ok: 'every view shows what has happened',
    look: (evidence) =>
      ofEach(evidence, (consumer) => {
        const left = total(consumer, 'lag') + total(consumer, 'unacknowledged');
        if (consumer.kind !== 'projection' || left < VIEW_BEHIND) return [];
        return {
          severity: 'warning',
          message: `${left} events are not in it yet: its readers see how it was`,
          remedy:
            'It catches up by itself; while it is built, that is meant. If the lag does not fall, the database is slow or away.',
        };
      }),
  },
  {
    name: 'view-builds',
    ok: 'no view is made twice for long',
    look: (evidence) => builds(evidence),
  },
];

/** What is found of each consumer. */
function ofEach(
  { consumers }: Evidence,
  look: (consumer: InstalledConsumer) => Omit<Found, 'subject'> | [],
): Found[] | undefined {
  return consumers?.consumers.flatMap((consumer) => {
    const found = look(consumer);
    return Array.isArray(found) ? [] : { ...found, subject: `${consumer.name} on ${consumer.stream}` };
  });
}

function builds({ consumers, clock }: Evidence): Found[] | undefined {
  const byView = new Map<string, InstalledConsumer[]>();
  for (const consumer of consumers?.consumers ?? []) {
    if (consumer.kind !== 'projection' || consumer.partitions.every(({ isMissing }) => isMissing)) continue;
    const view = `${consumer.name.replace(/_b\d+$/, '')} on ${consumer.stream}`;
    byView.set(view, [...(byView.get(view) ?? []), consumer]);
  }
  return [...byView].flatMap(([subject, all]) => {
    const newest = Math.max(...all.flatMap(({ partitions }) => partitions.map(({ createdAt }) => createdAt.getTime())));
    const besideMs = clock().getTime() - newest;
    if (all.length < 2 || besideMs < BUILDS_FOR_MS) return [];
    return {
      severity: 'warning',
      subject,
      message: `${all.map(({ name }) => name).join(' and ')} are made beside each other for ${inWords(besideMs)}: each event is handled for both`,
      remedy: 'Once nobody wants to go back, `causeway projections discard` ends the one that is not read.',
    };
  });
}

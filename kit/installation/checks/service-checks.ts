import type { Check } from '../diagnosis.ts';
import type { Found } from '../finding.ts';
import { partitionWords } from '../services.ts';

/** More than an answer takes, and enough to make deadlines late. */
const SKEW_MS = 1_000;
/** Heartbeats and deadlines are off by so much. */
const BAD_SKEW_MS = 10_000;

export const serviceChecks: readonly Check[] = [
  {
    name: 'service',
    ok: 'every service that ever started here answers, and can do its work',
    look: ({ services }) =>
      services
        ?.filter(({ status }) => status !== 'up')
        .map(({ name, status, reasons }) => ({
          severity: 'problem',
          subject: name,
          message: `${status === 'away' ? 'is away' : 'is in trouble'}: ${reasons.join('; ')}`,
          remedy:
            status === 'away'
              ? `Start it: its part waits meanwhile. Where it is not to come back: \`nats kv del services ${name}\`.`
              : 'See to what it names. It goes on by itself once that is there again.',
        })),
  },
  {
    name: 'partition-owner',
    ok: 'each partition of each service has an owner',
    look: ({ services }) =>
      services
        ?.filter(({ status, unownedPartitions }) => status !== 'away' && unownedPartitions.length > 0)
        .map(({ name, unownedPartitions }) => ({
          severity: 'problem',
          subject: name,
          message: `nobody owns ${partitionWords(unownedPartitions)}: nothing of it is handled`,
          remedy:
            'It passes within seconds where a process has just come or gone. If it does not, start the service anew, and see its log for who owns what.',
        })),
  },
  {
    name: 'clock-skew',
    ok: 'the clocks of all processes agree',
    look: ({ services }) =>
      services?.flatMap(({ members }) =>
        members
          .filter(({ clockAheadMs }) => Math.abs(clockAheadMs) > SKEW_MS)
          .map(({ service, id, status, clockAheadMs }) => ({
            severity: severityOfSkew(clockAheadMs),
            subject: service,
            message: `the clock of ${id} on ${status?.host} is ${skewWords(clockAheadMs)}`,
            remedy: 'Let the machine take its time from NTP. Deadlines come early or late by as much.',
          })),
      ),
  },
  {
    name: 'broker-clock',
    ok: "the broker's clock agrees with ours",
    async look({ broker, streams, clock }) {
      const [stream] = streams ?? [];
      if (stream === undefined) return undefined;
      const asked = clock().getTime();
      const info = await broker.manager.streams.info(stream.name);
      const aheadMs = Date.parse(info.ts ?? '') - (asked + clock().getTime()) / 2;
      if (Number.isNaN(aheadMs)) return undefined;
      if (Math.abs(aheadMs) <= SKEW_MS) return [];
      return [
        {
          severity: severityOfSkew(aheadMs),
          subject: '',
          message: `the broker's clock is ${skewWords(aheadMs)}`,
          remedy: 'Let its machine, and this one, take their time from NTP. What expires does so early or late.',
        },
      ];
    },
  },
];

function severityOfSkew(aheadMs: number): Found['severity'] {
  return Math.abs(aheadMs) > BAD_SKEW_MS ? 'problem' : 'warning';
}

function skewWords(aheadMs: number): string {
  return `${(Math.abs(aheadMs) / 1_000).toFixed(1)} s ${aheadMs > 0 ? 'ahead' : 'behind'}`;
}

import type { Check } from '../diagnosis.ts';

const MONITOR_WITHIN_MS = 2_000;

export const brokerChecks: readonly Check[] = [
  {
    name: 'broker',
    ok: 'the broker answers',
    look({ services, streams, consumers, missing }) {
      if (services ?? streams ?? consumers) return [];
      return [
        {
          severity: 'problem',
          subject: '',
          message: `the broker tells nothing of what is installed: ${missing.join('; ')}`,
          remedy: 'See that it runs, can be reached, and has a leader: nothing goes on without it.',
        },
      ];
    },
  },
  {
    name: 'fsync',
    ok: 'what the broker acknowledges is on disk',
    async look({ natsMonitorUrl, broker, isProduction }) {
      const how = 'Set `sync_interval: always` in the `jetstream` block of its configuration';
      if (natsMonitorUrl === undefined) {
        return [
          {
            severity: 'unknown',
            subject: '',
            message: 'when the broker writes to disk is known to its monitoring alone, and NATS_MONITOR_URL is not set',
            remedy: `Set NATS_MONITOR_URL to where the broker's \`http\` port is. ${how}, where it is not.`,
          },
        ];
      }
      const response = await fetch(new URL('/varz', natsMonitorUrl), {
        signal: AbortSignal.timeout(MONITOR_WITHIN_MS),
      });
      const { jetstream } = (await response.json()) as Varz;
      if (jetstream?.config === undefined) throw new Error('the monitoring at NATS_MONITOR_URL knows no JetStream');
      const { sync_always = false, sync_interval = 0 } = jetstream.config;
      if (sync_always) return [];
      const isAlone = broker.replicas === 1;
      return [
        {
          severity: isAlone && isProduction ? 'problem' : 'warning',
          subject: '',
          message: `the broker writes to disk every ${sync_interval / 1e9} s: ${isAlone ? 'when its machine dies' : 'when several machines die at once'}, what was acknowledged since is gone`,
          remedy: `${how}${isAlone ? '' : ', or accept it, as docs/operating.md says'}.`,
        },
      ];
    },
  },
];

/** Of the broker's monitoring, what is looked at. Durations are in ns. */
type Varz = { jetstream?: { config?: { sync_always?: boolean; sync_interval?: number } } };

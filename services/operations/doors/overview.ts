import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type WatchOverviewResponse, WatchOverviewResponseSchema } from '#gen/causeway/operations/v1/flow_pb.js';
import { type Finding, isWrong } from '#kit/installation/finding.ts';
import { type InstallationLook, soon } from '#kit/installation/look.ts';
import { type Durations, quantile } from '../views/fulfilments/fulfilment-figures.ts';
import type { Pulse } from '../views/pulse/pulse-queries.ts';
import { findingMessage, serviceMessage } from './flow-messages.ts';
import { consumerFlows, journalFlows } from './flow-rates.ts';

export type OverviewParts = {
  look(earlier: InstallationLook | undefined): Promise<InstallationLook>;
  /** What is wrong, by what was looked at. */
  diagnose(look: InstallationLook): Promise<Finding[]>;
  pulse(now: Date): Promise<Pulse>;
  open(now: Date): Promise<{ open: number; needingAttention: number; overdue: number }>;
  latencies(): Promise<{ confirmed: Durations; completed: Durations }>;
  clock(): Date;
};

export type OverviewOptions = {
  /** How often it is looked while somebody watches. */
  everyMs: number;
  /** What changes slowly, or costs more, is looked at again only after this long. */
  slowlyMs: number;
};

/** The overview that is shown to everybody who watches, and is made only while somebody does. */
export class Overview {
  readonly #parts: OverviewParts;
  readonly #options: OverviewOptions;
  #watchers = 0;
  #end: AbortController | undefined;
  #latest: WatchOverviewResponse | undefined;
  #next = Promise.withResolvers<void>();

  constructor(parts: OverviewParts, options: Partial<OverviewOptions> = {}) {
    this.#parts = parts;
    this.#options = { everyMs: 2_000, slowlyMs: 10_000, ...options };
  }

  /** The overview as it was last seen, then each later one; who takes them slowly is shown the latest only. */
  async *watch(signal: AbortSignal): AsyncGenerator<WatchOverviewResponse> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    let shown: WatchOverviewResponse | undefined;
    this.#watchers++;
    try {
      while (!signal.aborted) {
        this.#end ??= this.#begin();
        const next = this.#next.promise;
        if (this.#latest !== undefined && this.#latest !== shown) {
          shown = this.#latest;
          yield shown;
        } else {
          await Promise.race([next, aborted]);
        }
      }
    } finally {
      if (--this.#watchers === 0) this.#stopLooking();
    }
  }

  #stopLooking(): void {
    this.#end?.abort();
    this.#end = undefined;
    // Whoever comes next must not be shown how it was when the last one left.
    this.#latest = undefined;
  }

  #begin(): AbortController {
    const end = new AbortController();
    void this.#keepLooking(end.signal).catch((error) => this.#fail(error, end));
    return end;
  }

  /** Who waits is told, and ends; whoever watches on has it looked for again. */
  #fail(error: unknown, end: AbortController): void {
    if (this.#end !== end) return;
    this.#end = undefined;
    // Nobody may be waiting just now.
    this.#next.promise.catch(() => {});
    this.#next.reject(error);
    this.#next = Promise.withResolvers();
  }

  async #keepLooking(signal: AbortSignal): Promise<void> {
    const findings = new Slowly('what is wrong', this.#options.slowlyMs);
    const latencies = new Slowly('how long orders take', this.#options.slowlyMs);
    let earlier: InstallationLook | undefined;
    while (!signal.aborted) {
      const began = performance.now();
      const now = this.#parts.clock();
      const [look, pulse, open, times] = await Promise.all([
        this.#parts.look(earlier),
        soon('orders per minute and outcomes', this.#parts.pulse(now)),
        soon('fulfilments', this.#parts.open(now)),
        latencies.latest(() => this.#parts.latencies()),
      ]);
      const found = await findings.latest(() => this.#parts.diagnose(look));
      if (signal.aborted) return;
      this.#show(
        create(WatchOverviewResponseSchema, {
          at: timestampFromDate(now),
          ...installationOf(look, earlier),
          ...pulseOf(pulse.found),
          ...openOf(open.found),
          ...latenciesOf(times.found),
          findings: (found.found ?? []).filter(isWrong).map(findingMessage),
          missing: [...look.missing, ...[pulse, open, times, found].flatMap(({ why }) => why ?? [])],
        }),
      );
      earlier = look;
      await pause(this.#options.everyMs - (performance.now() - began), signal);
    }
  }

  #show(overview: WatchOverviewResponse): void {
    this.#latest = overview;
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }
}

/** What is asked for again only after a while; until then the answer before it stands. */
class Slowly {
  readonly #what: string;
  readonly #everyMs: number;
  #latest: { at: number; answer: Promise<unknown> } | undefined;

  constructor(what: string, everyMs: number) {
    this.#what = what;
    this.#everyMs = everyMs;
  }

  latest<Answer>(ask: () => Promise<Answer>): ReturnType<typeof soon<Answer>> {
    const isOld = this.#latest === undefined || performance.now() - this.#latest.at >= this.#everyMs;
    if (isOld) this.#latest = { at: performance.now(), answer: soon(this.#what, ask()) };
    return this.#latest?.answer as ReturnType<typeof soon<Answer>>;
  }
}

async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, durationMs));
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}

function installationOf(look: InstallationLook, earlier: InstallationLook | undefined) {
  const consumers = look.consumers?.consumers ?? [];
  return {
    services: (look.services ?? []).map(serviceMessage),
    journals: journalFlows(look, earlier),
    consumers: consumerFlows(look, earlier),
    // A view of several journals has its dead letters in one place.
    parkedMessages: BigInt(
      [...new Map(consumers.map(({ name, parkedMessages }) => [name, parkedMessages])).values()].reduce(
        (sum, parked) => sum + parked,
        0,
      ),
    ),
  };
}

function pulseOf(pulse: Pulse | undefined) {
  if (pulse === undefined) return {};
  return {
    minutes: pulse.minutes.map(({ minute, ...counts }) => ({ at: timestampFromDate(minute), ...counts })),
    outcomes: pulse.outcomes,
  };
}

function openOf(open: Awaited<ReturnType<OverviewParts['open']>> | undefined) {
  if (open === undefined) return {};
  return {
    openFulfilments: open.open,
    fulfilmentsNeedingAttention: open.needingAttention,
    overdueFulfilments: open.overdue,
  };
}

function latenciesOf(times: Awaited<ReturnType<OverviewParts['latencies']>> | undefined) {
  if (times === undefined) return {};
  return { confirmedWithin: latencyOf(times.confirmed), completedWithin: latencyOf(times.completed) };
}

function latencyOf(durations: Durations) {
  const at = (share: number) => {
    const duration = quantile(durations, share);
    return duration === undefined ? undefined : durationFromMs(duration);
  };
  const [p50, p99] = [at(0.5), at(0.99)];
  return { orders: durations.length, ...(p50 === undefined ? {} : { p50 }), ...(p99 === undefined ? {} : { p99 }) };
}

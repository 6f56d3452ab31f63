import { BusyError } from '#kit/errors.ts';

export type TrafficLimits = {
  /** Calls to one endpoint that are under way at the same time, in each partition, while it answers well. */
  callsWhenWell: number;
  /** The same for one whose last call has failed, or took longer than a second. */
  callsWhenUnwell: number;
  /** Failures in a row after which an endpoint counts as down, until a call succeeds. */
  failuresUntilDown: number;
  /** Deliveries that may wait for an endpoint that is down. */
  waitingWhenDown: number;
};

const SLOW_MS = 1_000;
/** Random, so that those who found it busy together don't come back together. */
const BUSY_MIN_MS = 200;
const BUSY_MAX_MS = 2_000;
/** A delivery that was not seen for so long waits elsewhere: another process has taken its partition. */
const FORGOTTEN_AFTER_MS = 20 * 60_000;

type Traffic = {
  /** Calls that are under way, by partition. */
  calls: Map<number, number>;
  failures: number;
  isSlow: boolean;
  /** Deliveries that are not finished, and when they were last seen. */
  waiting: Map<string, number>;
};

/**
 * Keeps one endpoint from taking the room of the others: it has some of a partition's lanes at most, and when it is down,
 * only so many deliveries wait for it. Known to this process alone, and begun anew with it.
 */
export class EndpointTraffic {
  readonly #limits: TrafficLimits;
  readonly #endpoints = new Map<string, Traffic>();

  constructor(limits: TrafficLimits) {
    this.#limits = limits;
  }

  /** Whether the endpoint is down, and as many others as may wait for it already. */
  isOverrun(endpointId: string, deliveryId: string): boolean {
    const { failures, waiting } = this.#of(endpointId);
    if (failures < this.#limits.failuresUntilDown || waiting.has(deliveryId)) return false;
    if (waiting.size < this.#limits.waitingWhenDown) return false;
    const forgotten = performance.now() - FORGOTTEN_AFTER_MS;
    for (const [id, seen] of waiting) if (seen < forgotten) waiting.delete(id);
    return waiting.size >= this.#limits.waitingWhenDown;
  }

  /** Takes a place for one call; what is returned gives it back. @throws BusyError where all are taken. */
  enter(endpointId: string, deliveryId: string, partition: number): () => void {
    const { calls, waiting, failures, isSlow } = this.#of(endpointId);
    const { callsWhenWell, callsWhenUnwell } = this.#limits;
    waiting.set(deliveryId, performance.now());
    const underWay = calls.get(partition) ?? 0;
    if (underWay >= (failures > 0 || isSlow ? callsWhenUnwell : callsWhenWell)) {
      const againAfterMs = BUSY_MIN_MS + Math.random() * (BUSY_MAX_MS - BUSY_MIN_MS);
      throw new BusyError(`${underWay} calls to endpoint ${endpointId} are under way`, againAfterMs);
    }
    calls.set(partition, underWay + 1);
    return () => calls.set(partition, (calls.get(partition) ?? 1) - 1);
  }

  succeeded(endpointId: string, durationMs: number): void {
    const traffic = this.#of(endpointId);
    traffic.failures = 0;
    traffic.isSlow = durationMs > SLOW_MS;
  }

  failed(endpointId: string): void {
    this.#of(endpointId).failures++;
  }

  /** The delivery does not wait any more: it was made, given up or dropped. */
  finished(endpointId: string, deliveryId: string): void {
    this.#of(endpointId).waiting.delete(deliveryId);
  }

  #of(endpointId: string): Traffic {
    const known = this.#endpoints.get(endpointId);
    if (known !== undefined) return known;
    const traffic: Traffic = { calls: new Map(), failures: 0, isSlow: false, waiting: new Map() };
    this.#endpoints.set(endpointId, traffic);
    return traffic;
  }
}

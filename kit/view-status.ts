import { collectionOf, type View } from './view.ts';
import type { ViewBuilds } from './view-builds.ts';
import { messagesLeft, streamsOf } from './view-heads.ts';
import { type BuildEntry, liveBuilds, type ViewRegister } from './view-register.ts';

/** How a build stands, as operators are told. */
export type BuildStatus = {
  build: number;
  status: 'building' | 'caught up' | 'active' | 'previous';
  collection: string;
  /** In ms. */
  startedAt: number;
  startedBy: string;
  documents: number;
  /** Messages of its journals that it has not come to yet, and how many there were altogether. */
  left: number;
  total: number;
  /** By how many fewer are left each second; 0: that is not known. */
  perSecond: number;
  positions: { stream: string; partition: number; sequence: number }[];
  parked: number;
  switchWhenCaughtUp: boolean;
  /** In words; empty: nothing. */
  trouble: string;
};

export type ViewStatus = { view: string; version: number; streams: string[]; builds: BuildStatus[] };

/** Two looks at what is left that are further apart say nothing of the speed now. */
const SAMPLE_MAX_MS = 30_000;
const SAMPLE_MIN_MS = 200;

/** How the builds of a view stand; it remembers what was left before, so as to know how quickly that falls. */
export class ViewStatuses<Document extends object> {
  readonly #builds: ViewBuilds<Document>;
  readonly #samples = new Map<number, { at: number; left: number }>();

  constructor(builds: ViewBuilds<Document>) {
    this.#builds = builds;
  }

  /** @throws UnavailableError where broker or database are away. */
  async status(): Promise<ViewStatus> {
    const view: View<Document> = this.#builds.view;
    const register = await this.#builds.known.fresh();
    const entries = liveBuilds(register).sort((one, other) => one.build - other.build);
    return {
      view: view.name,
      version: view.version,
      streams: streamsOf(view),
      builds: await Promise.all(entries.map((entry) => this.#statusOf(entry, register))),
    };
  }

  async #statusOf(entry: BuildEntry, register: ViewRegister): Promise<BuildStatus> {
    const { view, parts } = this.#builds;
    const { build, startedAt, startedBy, total, switchWhenCaughtUp } = entry;
    const found = this.#builds.at(build);
    const [checkpoints, documents, left = total, parked] = await Promise.all([
      found.checkpoints(),
      found.documents.estimatedDocumentCount(),
      messagesLeft(parts.broker, view, found.name),
      this.#builds.parkedIn(build),
    ]);
    const isWaiting = entry === register.building && entry.caughtUp && switchWhenCaughtUp && parked > 0;
    return {
      build,
      status: statusIn(register, entry),
      collection: collectionOf(view, build),
      startedAt: startedAt.getTime(),
      startedBy,
      documents: Math.max(0, documents - checkpoints.size),
      left,
      total: Math.max(total, left),
      perSecond: entry === register.building ? this.#speed(build, left, total, startedAt) : 0,
      positions: [...checkpoints].flatMap(([partition, { positions }]) =>
        Object.entries(positions).map(([stream, sequence]) => ({ stream, partition, sequence })),
      ),
      parked,
      switchWhenCaughtUp: entry === register.building && switchWhenCaughtUp,
      trouble: isWaiting ? 'it has parked messages: readers are not switched by themselves' : found.problems.join('; '),
    };
  }

  /** As of now where that was looked at a moment ago; else since it was begun. */
  #speed(build: number, left: number, total: number, startedAt: Date): number {
    const now = performance.now();
    const before = this.#samples.get(build);
    const elapsedMs = before === undefined ? Number.POSITIVE_INFINITY : now - before.at;
    if (elapsedMs > SAMPLE_MIN_MS) this.#samples.set(build, { at: now, left });
    if (before !== undefined && elapsedMs > SAMPLE_MIN_MS && elapsedMs < SAMPLE_MAX_MS) {
      return Math.max(0, ((before.left - left) * 1_000) / elapsedMs);
    }
    return Math.max(0, ((total - left) * 1_000) / Math.max(1, Date.now() - startedAt.getTime()));
  }
}

function statusIn({ active, previous }: ViewRegister, entry: BuildEntry): BuildStatus['status'] {
  if (entry === active) return 'active';
  if (entry === previous) return 'previous';
  return entry.caughtUp ? 'caught up' : 'building';
}

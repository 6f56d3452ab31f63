import type { Db } from 'mongodb';
import type { Position } from '#gen/causeway/events/v1/position_pb.js';
import { queried } from './database.ts';
import type { DestroyedKeys } from './erased-keys.ts';
import { invalid, UnavailableError } from './errors.ts';
import type { Health } from './lifecycle.ts';
import { allPartitions } from './partitions.ts';
import { type ConsumerDescription, describedConsumer } from './service-descriptions.ts';
import { collectionOf, type View } from './view.ts';
import type { ViewBuild } from './view-build.ts';
import { ViewBuilds, type ViewBuildsParts, type ViewTimes } from './view-builds.ts';
import { eraseFromView } from './view-erasure.ts';
import { streamsOf } from './view-heads.ts';
import { readerBy, type ViewReader } from './view-reader.ts';
import { LEASE_MS, type ViewRegister } from './view-register.ts';
import { type Administered, ViewAdministration } from './view-requests.ts';
import { requireSettled, ViewSwitch } from './view-switch.ts';

const defaults: ViewTimes = { watchMs: 1_000, leaseMs: LEASE_MS };
/** How long a query waits for a view that is built for the first time before it is told to come again, in looks. */
const FIRST_LOOKS = 20;
/** A query is not put to one build after the other for ever. */
const MAX_ROUNDS = 5;

export type ProjectionParts = ViewBuildsParts;

/** A build to be read, and how often readers had been switched when it was the active one. */
type Shown<Document extends object> = { build: ViewBuild<Document>; switches: number };

/**
 * A view, kept up to date on the partitions that this process owns, and for queries of all of them. It may be built
 * anew beside what readers see: they are switched over without a gap, and never see an older state (decision 19).
 */
export class Projection<Document extends object> {
  /** `<service>-<view>_v<version>`: what its consumers, dead letters and telemetry call it, and begin with. */
  readonly name: string;
  readonly view: View<Document>;
  /** What operators may do to it. */
  readonly administration: Administered;
  readonly #builds: ViewBuilds<Document>;
  readonly #switch: ViewSwitch<Document>;
  readonly #streams: Set<string>;
  readonly #db: Db;

  constructor(view: View<Document>, parts: ProjectionParts, times: Partial<ViewTimes> = {}) {
    this.name = `${parts.service}-${collectionOf(view)}`;
    this.view = view;
    this.#db = parts.db;
    this.#streams = new Set(streamsOf(view));
    const { leaseMs, watchMs } = defaults;
    const all = { watchMs, leaseMs: parts.viewLeaseMs ?? leaseMs, ...times };
    this.#builds = new ViewBuilds(view, parts, all, (register, signal) => this.#switch.keepUp(register, signal));
    this.#switch = new ViewSwitch(this.#builds);
    this.administration = new ViewAdministration(this.#builds, this.#switch);
  }

  /**
   * Follows exactly these partitions from now on. New ones are behind until they have caught up; resolves when those
   * that are given up have finished the batch they had at work.
   */
  async own(partitions: readonly number[]): Promise<void> {
    await this.#builds.own(partitions);
  }

  /** Finishes the batches at work, then stops. */
  async stop(): Promise<void> {
    await this.own([]);
  }

  /** Whether its documents hold personal data in the clear. */
  get holdsPersonalData(): boolean {
    return this.view.erased !== undefined;
  }

  /** Removes what these keys sealed from all builds. May be done again. @throws UnavailableError */
  async erase(keys: DestroyedKeys): Promise<void> {
    if (this.holdsPersonalData) await eraseFromView(this.#db, this.view, keys);
  }

  describe(): ConsumerDescription {
    return describedConsumer(this.name, 'projection', this.view, this.holdsPersonalData);
  }

  health(): Health {
    const reasons = this.#builds.problems().map((problem) => `view ${this.view.name}: ${problem}`);
    return { ready: reasons.length === 0, reasons };
  }

  /** How far each partition of each journal has come into what readers see; of those that this process owns. */
  positions(): { stream: string; partition: number; sequence: number }[] {
    const { active, building } = this.#builds.known.latest ?? {};
    const shown = active ?? building;
    return shown ? this.#builds.at(shown.build).positions() : [];
  }

  /**
   * Waits until the view shows these positions, and is whole; answers with what one query is to read.
   * @throws CallError INVALID_ARGUMENT for a position of a journal that the view is not made from, or that does not
   *   exist yet; DEADLINE_EXCEEDED when the signal comes first.
   * @throws UnavailableError where broker or database are away, or the view is built for the first time.
   */
  async reached(positions: readonly Position[], signal: AbortSignal): Promise<ViewReader<Document>> {
    for (const [index, { stream, partition }] of positions.entries()) {
      if (this.#streams.has(stream) && allPartitions.includes(partition)) continue;
      throw invalid(`at_least[${index}]`, `${this.view.name} is not made from partition ${partition} of ${stream}`);
    }
    let shown = await this.#shown(positions, signal);
    return readerBy(async (ask) => {
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const { documents } = shown.build;
        const answer = await queried(documents, () => ask(documents));
        // What was read of a build that is not the active one any more may be older than what others have been shown.
        if (await this.#isStill(shown)) return answer;
        shown = await this.#shown(positions, signal);
      }
      throw new UnavailableError(`readers of view ${this.view.name} are switched again and again`);
    });
  }

  async #shown(positions: readonly Position[], signal: AbortSignal): Promise<Shown<Document>> {
    const { active, settled, switches } = await this.#readable(signal);
    const build = this.#builds.at(active.build);
    if (!settled) requireSettled(await this.#switch.settled(switches, signal), this);
    if (positions.length > 0) await build.reached(positions, signal);
    return { build, switches };
  }

  async #isStill({ build, switches }: Shown<Document>): Promise<boolean> {
    const { known } = this.#builds;
    const now = known.trusted ?? (await known.fresh());
    return now.switches === switches && now.active?.build === build.build;
  }

  /** The register, once there is something to read. */
  async #readable(signal: AbortSignal) {
    for (let look = 0; ; look++) {
      const register = await this.#builds.known.current();
      const { active } = register;
      if (active !== null) return { ...register, active };
      if (look === FIRST_LOOKS || signal.aborted) throw this.#isBeingBuilt(register);
      await this.#builds.looked();
    }
  }

  #isBeingBuilt(register: ViewRegister): UnavailableError {
    return new UnavailableError(`view ${this.view.name} ${this.#builds.progressWords(register)}`);
  }
}

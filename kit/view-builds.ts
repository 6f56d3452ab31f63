import { setTimeout as delay } from 'node:timers/promises';
import type { Db } from 'mongodb';
import type { Broker } from './broker.ts';
import { countLetters } from './dead-letters.ts';
import { UnavailableError } from './errors.ts';
import { collectionOf, type View } from './view.ts';
import { ViewBuild, type ViewBuildParts } from './view-build.ts';
import { counterOf, countMessages, headsOf, messagesLeft } from './view-heads.ts';
import { type BuildEntry, KnownRegister, liveBuilds, RegisterStore, type ViewRegister } from './view-register.ts';
import { buildsIn, sweepViews } from './view-sweep.ts';

export type ViewBuildsParts = Omit<ViewBuildParts, 'watchMs' | 'isShown' | 'requireLive'> & {
  service: string;
  broker: Broker;
  db: Db;
  viewLeaseMs?: number;
};

export type ViewTimes = {
  /** How often it is looked whether the checkpoints are still there and the consumers still deliver. */
  watchMs: number;
  /** How long the register is trusted; the same for all processes. */
  leaseMs: number;
};

/** A first look that failed is made again soon: nothing is followed before. */
const RETRY_MS = 200;
/** What waits for a first build looks again so soon. */
const LOOK_MS = 50;

/** What is done about the builds of a view while it is followed, by the owner of its first partition. */
export type Upkeep = (register: ViewRegister, signal: AbortSignal) => Promise<void>;

/**
 * The builds of one version of a view, as this process follows them: all that the register has, on the partitions that
 * it owns. It looks there twice in a lease. A build that the register has no more is left, and removed once more.
 */
export class ViewBuilds<Document extends object> {
  readonly view: View<Document>;
  readonly parts: ViewBuildsParts;
  readonly times: ViewTimes;
  readonly known: KnownRegister;
  readonly store: RegisterStore;
  readonly #upkeep: Upkeep;
  readonly #builds = new Map<number, ViewBuild<Document>>();
  readonly #leaving = new Set<Promise<void>>();
  #partitions: readonly number[] = [];
  #following: { end: AbortController; done: Promise<void>; began: Promise<void> } | undefined;
  #poke = () => {};
  #problem: string | undefined;
  #looking: Promise<void> | undefined;
  #left: { build: number; messages: number } | undefined;
  #beginning: Promise<ViewRegister> | undefined;

  /** @param upkeep called after each look, one at a time; whatever fails is tried again. */
  constructor(view: View<Document>, parts: ViewBuildsParts, times: ViewTimes, upkeep: Upkeep) {
    this.view = view;
    this.parts = parts;
    this.times = times;
    this.#upkeep = upkeep;
    this.store = new RegisterStore(view, parts.db);
    this.known = new KnownRegister(async () => (await this.store.read()) ?? (await this.#begun()), times.leaseMs);
  }

  /** A build, to be read or waited for. */
  at(build: number): ViewBuild<Document> {
    const { latest } = this.known;
    const entry = latest && buildOf(latest, build);
    // One that is there no more, or not yet, is not kept: it is not known what its consumers are called.
    return entry === undefined ? (this.#builds.get(build) ?? this.#made({ build })) : this.#live(entry);
  }

  #live(entry: BuildEntry): ViewBuild<Document> {
    const found = this.#builds.get(entry.build) ?? this.#made(entry);
    this.#builds.set(entry.build, found);
    return found;
  }

  #made(entry: Pick<BuildEntry, 'build' | 'slot'>): ViewBuild<Document> {
    return new ViewBuild(this.view, entry, this.#partsOf(entry.build));
  }

  /** Resolves when the first look has been made, and when what is given up has finished the batches at work. */
  async own(partitions: readonly number[]): Promise<void> {
    this.#partitions = partitions;
    const given = [...this.#builds.values()].map((build) => build.own(partitions));
    if (partitions.length > 0) {
      this.#following ??= this.#follow();
      await Promise.race([this.#following.began, this.#following.done]);
      await Promise.all(given);
      return;
    }
    const following = this.#following;
    this.#following = undefined;
    following?.end.abort();
    await Promise.all([...given, following?.done]);
    // What was found by a look that was under way.
    if (this.#partitions.length === 0) {
      await Promise.all([...this.#builds.values()].map((build) => build.own([])));
      await Promise.all(this.#leaving);
    }
  }

  /** Waits a little for what the register says next; many may wait for one look. */
  looked(): Promise<void> {
    this.#looking ??= delay(LOOK_MS).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** How many messages the consumers of a build have parked. */
  async parkedIn(build: number): Promise<number> {
    const letters = await countLetters(this.parts.broker, `dead.${this.at(build).name}.*.*`);
    return [...letters.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Name of the consumer that counts what the journals hold for the view. */
  get counter(): string {
    return counterOf(`${this.parts.service}-${collectionOf(this.view)}`);
  }

  /** Looks at once. */
  poke(): void {
    this.#poke();
  }

  /** What keeps readers from what the view is to show. A build beside what they see is none of their business. */
  problems(): string[] {
    if (this.#partitions.length === 0) return [];
    const register = this.known.latest;
    if (register === undefined) return [this.#problem ?? 'not started'];
    const shown = register.active ?? register.building;
    const problems = shown === null ? [] : (this.#builds.get(shown.build)?.problems ?? ['not started']);
    return register.active === null ? [this.progressWords(register), ...problems] : problems;
  }

  /** Of a view that is built for the first time, in words. */
  progressWords({ building }: ViewRegister): string {
    const left = this.#left?.build === building?.build ? this.#left?.messages : undefined;
    if (building === null || left === undefined || building.total === 0) return 'is being built';
    const done = Math.max(0, Math.min(1, 1 - left / building.total));
    return `is being built, ${Math.floor(done * 100)} %`;
  }

  #partsOf(build: number): ViewBuildParts {
    return {
      ...this.parts,
      watchMs: this.times.watchMs,
      isShown: () => (this.known.latest?.active?.build ?? build) === build,
      requireLive: async () => {
        const register = await this.known.current();
        if (liveBuilds(register).some((entry) => entry.build === build)) return;
        throw new Error(`build ${build} of ${this.view.name} was discarded`);
      },
    };
  }

  /** A register that is not there yet. A view that was followed before there were any has readers already. */
  #begun(): Promise<ViewRegister> {
    this.#beginning ??= this.#begin().finally(() => {
      this.#beginning = undefined;
    });
    return this.#beginning;
  }

  async #begin(): Promise<ViewRegister> {
    const { broker, db } = this.parts;
    const [checkpoints, heads, there] = await Promise.all([
      this.at(1).checkpoints(),
      headsOf(broker, this.view),
      buildsIn(db, this.view),
    ]);
    const caughtUp = checkpoints.size > 0 || heads.every(({ sequence }) => sequence === 0);
    const total = caughtUp ? 0 : await countMessages(broker, this.view, this.counter);
    const first = {
      build: 1,
      slot: 1,
      startedAt: new Date(),
      startedBy: '',
      switchWhenCaughtUp: true,
      total,
      caughtUp,
    };
    // Where a register was lost, builds may be there that it knew of.
    const register = await this.store.begin(first, Math.max(1, ...there) + 1);
    if (register === undefined) throw new UnavailableError(`the register of ${this.view.name} is gone again`);
    return register;
  }

  #follow() {
    const end = new AbortController();
    const { promise: began, resolve } = Promise.withResolvers<void>();
    return { end, began, done: this.#keepLooking(end.signal, resolve) };
  }

  async #keepLooking(signal: AbortSignal, began: () => void): Promise<void> {
    let working: Promise<void> | undefined;
    while (!signal.aborted) {
      try {
        const register = await this.known.fresh();
        if (signal.aborted) break;
        this.#followAll(register);
        this.#problem = undefined;
        began();
        // One process is enough, and somebody always owns it; for the first build readers wait.
        if (register.active === null || this.#partitions.includes(0)) {
          working ??= this.#work(register, signal).finally(() => {
            working = undefined;
          });
        }
        await this.#measure(register);
      } catch (error) {
        this.#problem = error instanceof Error ? error.message : String(error);
        this.parts.logger.warn({ err: error, view: this.view.name }, 'the builds of the view are not known now');
      }
      await this.#pause(this.known.latest === undefined ? RETRY_MS : this.times.leaseMs / 2, signal);
    }
    await working;
  }

  async #work(register: ViewRegister, signal: AbortSignal): Promise<void> {
    try {
      await this.#upkeep(register, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.parts.logger.warn({ err: error, view: this.view.name }, 'a build of the view waits');
    }
  }

  async #pause(durationMs: number, signal: AbortSignal): Promise<void> {
    const poked = new AbortController();
    this.#poke = () => poked.abort();
    await delay(durationMs, undefined, { signal: AbortSignal.any([signal, poked.signal]) }).catch(() => {});
  }

  #followAll(register: ViewRegister): void {
    const live = liveBuilds(register);
    for (const entry of live) void this.#live(entry).own(this.#partitions);
    for (const [number, build] of this.#builds) {
      if (live.some((entry) => entry.build === number)) continue;
      this.#builds.delete(number);
      const left = this.#leave(build).finally(() => this.#leaving.delete(left));
      this.#leaving.add(left);
    }
  }

  /** What this process may still have written when others removed the build already is removed by itself. */
  async #leave(build: ViewBuild<Document>): Promise<void> {
    try {
      await build.own([]);
      await sweepViews(this.parts, this.view, () => this.known.fresh());
    } catch (error) {
      this.parts.logger.warn({ err: error, build: build.name }, 'something of the discarded build may be left');
    }
  }

  async #measure({ building, active }: ViewRegister): Promise<void> {
    if (building === null || active !== null) return;
    const messages = await messagesLeft(this.parts.broker, this.view, this.at(building.build).name);
    this.#left = messages === undefined ? undefined : { build: building.build, messages };
  }

  /**
   * Makes a change of the register that is based on what it says now. Answers with what it says then.
   * @param changesOf undefined: nothing is to be changed. May throw. It is asked again where somebody else was quicker.
   */
  async change(
    changesOf: (register: ViewRegister) => Partial<ViewRegister> | undefined,
    act = '',
  ): Promise<ViewRegister> {
    for (let round = 0; round < 10; round++) {
      const register = await this.known.fresh();
      const changes = changesOf(register);
      if (changes === undefined) return register;
      if ((await this.store.change(register, changes, act)) !== undefined) {
        this.poke();
        return this.known.fresh();
      }
    }
    throw new UnavailableError(`the register of ${this.view.name} is changed again and again`);
  }
}

export function buildOf(register: ViewRegister, build: number): BuildEntry | undefined {
  return liveBuilds(register).find((entry) => entry.build === build);
}

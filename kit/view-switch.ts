import { setTimeout as delay } from 'node:timers/promises';
import { CallError, UnavailableError } from './errors.ts';
import type { ViewBuild } from './view-build.ts';
import { buildOf, type ViewBuilds } from './view-builds.ts';
import { carryOver } from './view-carry-over.ts';
import { headsOf, messagesLeft } from './view-heads.ts';
import type { ViewRegister } from './view-register.ts';

/** A build is never so far behind when readers are switched to it: what they wait for then is gone in a moment. */
const CATCH_UP_MS = 2_000;
/** A build that has more before it need not be asked whether it is there. */
const NEARLY_THERE = 5_000;
/** What a journal forgets meanwhile never comes: after so long a first build is held against what there is then. */
const HEADS_FOR_MS = 30_000;
/** How long a switch that somebody else has announced may take, in leases, before it is ended for him. */
const ABANDONED_LEASES = 4;

/**
 * Which build readers see. A switch is announced in the register first: from then on every query looks there. When the
 * leases from before have ended, so that nobody reads by what he remembers, it is made, in one conditional update.
 * Whoever reads then waits until the new build has come to what the journals held when he saw the switch.
 */
export class ViewSwitch<Document extends object> {
  readonly #builds: ViewBuilds<Document>;
  readonly #settling = new Map<number, Promise<boolean>>();
  /** Of the last switch after which the active build was seen to be so far. */
  #settledSwitch = -1;
  #announced: { revision: number; at: number } | undefined;

  constructor(builds: ViewBuilds<Document>) {
    this.#builds = builds;
  }

  /**
   * Switches readers to another build.
   * @throws CallError FAILED_PRECONDITION where it has not caught up, or is not there.
   */
  async switchTo(build: number, act: string, signal: AbortSignal): Promise<void> {
    const { known, times } = this.#builds;
    const register = await known.fresh();
    if (register.acts.includes(act) || register.active?.build === build) return;
    requireBuild(this.#builds, register, build);
    await this.#requireCaughtUp(build, signal);
    const announced = await this.#builds.change((now) => {
      requireBuild(this.#builds, now, build);
      if (now.switchingTo === build) return undefined;
      if (now.switchingTo !== null) throw isBeing(this.#builds, `switched to build ${now.switchingTo}`);
      return { switchingTo: build };
    });
    // Longer than a lease: what a process read before the announcement it does not trust any more.
    await delay(times.leaseMs * 1.25, undefined, { signal });
    await this.#complete(build, act, announced, signal);
  }

  /** @param announced the register as it announced the switch; one that was taken back and announced again is another. */
  async #complete(build: number, act: string, announced: ViewRegister, signal: AbortSignal): Promise<void> {
    const isThere = await this.#hasCaughtUp(build, signal);
    const { switches } = await this.#builds.change((register) => {
      if (register.switchingTo !== build || register.switches !== announced.switches) return undefined;
      const entry = buildOf(register, build);
      const ended = { switchingTo: null, switches: register.switches + 1 };
      if (!isThere || entry === undefined) return ended;
      return {
        ...ended,
        active: entry,
        previous: register.active,
        building: register.building?.build === build ? null : register.building,
        settled: false,
      };
    }, act);
    if (!isThere) throw this.#behind(build);
    await this.settled(switches, signal);
  }

  /**
   * Whether the active build has come to all that readers of the one before may have seen. Asked of those who saw the
   * switch: what the journals hold then is all that anybody was shown by the old build, and more.
   * @throws UnavailableError where broker or database are away.
   */
  settled(switches: number, signal: AbortSignal): Promise<boolean> {
    if (this.#settledSwitch >= switches) return Promise.resolve(true);
    const settling = this.#settling.get(switches) ?? this.#settle(switches).finally(() => this.#settling.clear());
    this.#settling.set(switches, settling);
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const giveUp = () => resolve(false);
    signal.addEventListener('abort', giveUp, { once: true });
    return Promise.race([settling, late]).finally(() => signal.removeEventListener('abort', giveUp));
  }

  async #settle(switches: number): Promise<boolean> {
    const { known, parts, view } = this.#builds;
    const register = await known.fresh();
    if (register.switches !== switches || register.active === null) return true;
    if (!register.settled) {
      const heads = await headsOf(parts.broker, view);
      const there = await this.#builds.at(register.active.build).comesTo(heads, AbortSignal.timeout(CATCH_UP_MS * 2));
      if (!there) return false;
      await this.#builds.change((now) => (now.switches === switches && !now.settled ? { settled: true } : undefined));
    }
    this.#settledSwitch = switches;
    return true;
  }

  /** Ends what somebody else has begun, and does what is to be done without being asked for. */
  async keepUp(register: ViewRegister, signal: AbortSignal): Promise<void> {
    const { active, building, switchingTo, settled, switches } = register;
    if (switchingTo === null) this.#announced = undefined;
    else if (this.#isAbandoned(register)) await this.#complete(switchingTo, '', register, signal);
    if (!settled) await this.settled(switches, signal);
    if (active === null) await this.#finishFirst(signal);
    else if (building !== null && !building.caughtUp) await this.#noteCaughtUp(building.build, signal);
    else if (building?.switchWhenCaughtUp && switchingTo === null) await this.#switchByItself(building.build, signal);
  }

  #isAbandoned({ revision }: ViewRegister): boolean {
    if (this.#announced?.revision !== revision) this.#announced = { revision, at: performance.now() };
    return performance.now() - this.#announced.at > this.#builds.times.leaseMs * ABANDONED_LEASES;
  }

  /** The first build of a version has readers once it has come to what the journals held when it was begun. */
  async #finishFirst(signal: AbortSignal): Promise<void> {
    const { parts, view } = this.#builds;
    const { building } = await this.#builds.known.fresh();
    if (building === null) return;
    const heads = await headsOf(parts.broker, view);
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(HEADS_FOR_MS)]);
    if (!(await this.#builds.at(building.build).comesTo(heads, inTime))) return;
    await this.#builds.change((now) => {
      if (now.active !== null || now.building?.build !== building.build) return undefined;
      return { active: { ...building, caughtUp: true }, building: null };
    });
  }

  async #noteCaughtUp(build: number, signal: AbortSignal): Promise<void> {
    if (!(await this.#hasCaughtUp(build, signal))) return;
    await carryOver(this.#builds, build, signal);
    await this.#builds.change(({ building }) =>
      building?.build === build && !building.caughtUp ? { building: { ...building, caughtUp: true } } : undefined,
    );
  }

  async #switchByItself(build: number, signal: AbortSignal): Promise<void> {
    // What the old build shows and the new one could not take in is a matter for whoever asked.
    if ((await this.#builds.parkedIn(build)) > 0) return;
    await this.switchTo(build, '', signal);
  }

  async #requireCaughtUp(build: number, signal: AbortSignal): Promise<void> {
    const entry = buildOf(await this.#builds.known.fresh(), build);
    if (entry?.caughtUp !== true || !(await this.#hasCaughtUp(build, signal))) throw this.#behind(build);
  }

  /** Whether the build comes to what the journals hold now, in a moment. */
  async #hasCaughtUp(build: number, signal: AbortSignal): Promise<boolean> {
    const { parts, view } = this.#builds;
    const found: ViewBuild<Document> = this.#builds.at(build);
    const left = await messagesLeft(parts.broker, view, found.name);
    if (left === undefined || left > NEARLY_THERE) return false;
    const soon = AbortSignal.any([signal, AbortSignal.timeout(CATCH_UP_MS)]);
    return found.comesTo(await headsOf(parts.broker, view), soon);
  }

  #behind(build: number): CallError {
    return new CallError('FAILED_PRECONDITION', `build ${build} of ${this.#builds.view.name} has not caught up`, {
      reason: 'BUILD_BEHIND',
      metadata: { build: String(build) },
    });
  }
}

type Named = { view: { name: string } };

/** @throws CallError NOT_FOUND where there is no such build beside the active one. */
export function requireBuild({ view }: Named, register: ViewRegister, build: number): void {
  if (register.active === null) throw isBeing({ view }, 'built for the first time');
  if (buildOf(register, build) !== undefined) return;
  throw new CallError('NOT_FOUND', `${view.name} has no build ${build}`, { reason: 'BUILD_UNKNOWN' });
}

export function isBeing({ view }: Named, what: string): CallError {
  return new CallError('FAILED_PRECONDITION', `${view.name} is being ${what}`, { reason: 'VIEW_IS_CHANGING' });
}

/** @throws UnavailableError unless the answer is yes. */
export function requireSettled(isSettled: boolean, { view }: Named): void {
  if (!isSettled) throw new UnavailableError(`view ${view.name} has just been switched, and is not there yet`);
}

import { type Collection, type Db, MongoServerError } from 'mongodb';
import { queried } from './database.ts';
import { collectionOf } from './view.ts';

/** How long a process may trust what it has read of a register, in ms. The same for all processes. */
export const LEASE_MS = 2_000;
const DUPLICATE_KEY = 11_000;
/** Acts that a register remembers, so that none is done twice. */
const REMEMBERED_ACTS = 50;

/** A build of a view, as its register has it. */
export type BuildEntry = {
  /** Counts from 1 for each version, and is never used again. */
  build: number;
  /** What its consumers are named by: of a few that are used again and again. Left out by older programs: its number. */
  slot?: number;
  startedAt: Date;
  /** Who asked for it; empty: nobody, it is the first. */
  startedBy: string;
  switchWhenCaughtUp: boolean;
  /** Messages that its journals had when it was begun. */
  total: number;
  /** Whether it has once come to the heads of its journals. */
  caughtUp: boolean;
};

/** What is known of the builds of one version of a view. */
export type ViewRegister = {
  /** `<name>_v<version>` */
  _id: string;
  /** Rises with each change. A change that is based on another revision is not made. */
  revision: number;
  /** Number of the next build. */
  next: number;
  /** What readers see; null: the first build has not come to the heads of its journals yet. */
  active: BuildEntry | null;
  /** What they saw before. */
  previous: BuildEntry | null;
  building: BuildEntry | null;
  /** Number of the build that is about to be the active one. While it is set, every query looks here. */
  switchingTo: number | null;
  /** How often a switch was made, or taken back after it was announced. */
  switches: number;
  /** Whether the active build has come to what its journals held when readers were switched to it. */
  settled: boolean;
  /** Slot of the build that was discarded last: something of it may still be under way. */
  leftSlot?: number;
  /** The latest acts of operators that were done. */
  acts: string[];
};

/** The builds that are there, and are followed. */
export function liveBuilds({ active, previous, building }: ViewRegister): BuildEntry[] {
  return [active, previous, building].filter((entry) => entry !== null);
}

/** Two builds at most are there when another is begun, and one may just have been left. */
export const BUILD_SLOTS = [1, 2, 3, 4] as const;

/** What the consumers of a build are named by. */
export function slotOf({ build, slot = build }: Pick<BuildEntry, 'build' | 'slot'>): number {
  return slot;
}

/** A slot that no build has, nor the one that was discarded last. */
export function freeSlot(register: ViewRegister): number {
  const taken = [...liveBuilds(register).map(slotOf), register.leftSlot];
  const free = BUILD_SLOTS.find((slot) => !taken.includes(slot));
  if (free === undefined) throw new Error(`${register._id} has more builds than there are slots`);
  return free;
}

export type ViewNamed = { name: string; version: number };

/** The register of a view: one document of the service's database, changed one revision at a time. */
export class RegisterStore {
  readonly #id: string;
  readonly #registers: Collection<ViewRegister>;

  constructor(view: ViewNamed, db: Db) {
    this.#id = collectionOf(view);
    this.#registers = db.collection<ViewRegister>('view_builds');
  }

  /** The register; undefined where there is none. @throws UnavailableError where the database is away. */
  async read(): Promise<ViewRegister | undefined> {
    return (await queried(this.#registers, () => this.#registers.findOne({ _id: this.#id }))) ?? undefined;
  }

  /** Begins the register with the first build, unless somebody else has. Answers with what it says then. */
  async begin(first: BuildEntry, next: number): Promise<ViewRegister | undefined> {
    const register: ViewRegister = {
      _id: this.#id,
      revision: 1,
      next,
      active: first.caughtUp ? first : null,
      previous: null,
      building: first.caughtUp ? null : first,
      switchingTo: null,
      switches: 0,
      settled: true,
      acts: [],
    };
    try {
      await this.#registers.insertOne(register);
    } catch (error) {
      if (!(error instanceof MongoServerError) || error.code !== DUPLICATE_KEY) throw error;
    }
    return this.read();
  }

  /**
   * Changes what the register says; undefined where it was changed by somebody else meanwhile.
   * @param act what the change is remembered by.
   */
  async change(from: ViewRegister, changes: Partial<ViewRegister>, act = ''): Promise<ViewRegister | undefined> {
    const acts = act === '' ? from.acts : [...from.acts, act].slice(-REMEMBERED_ACTS);
    const to: ViewRegister = { ...from, ...changes, acts, revision: from.revision + 1 };
    const { matchedCount } = await this.#registers.replaceOne({ _id: this.#id, revision: from.revision }, to);
    return matchedCount === 1 ? to : undefined;
  }
}

/** Now, by the clock that only goes on and by the one on the wall: one stands while a machine sleeps, one may be set. */
export type Clocks = () => { steadyMs: number; wallMs: number };

const clocks: Clocks = () => ({ steadyMs: performance.now(), wallMs: Date.now() });

/**
 * What this process knows of a register. A query takes it from memory for as long as the lease lasts: whoever switches
 * readers says so first, and waits until every lease from before has ended.
 */
export class KnownRegister {
  readonly #read: () => Promise<ViewRegister>;
  readonly #leaseMs: number;
  readonly #clocks: Clocks;
  #known: ({ register: ViewRegister } & ReturnType<Clocks>) | undefined;
  #refreshing: Promise<unknown> | undefined;

  /** @param read the register as it stands in the database; it is begun where there is none. */
  constructor(read: () => Promise<ViewRegister>, leaseMs: number, now: Clocks = clocks) {
    this.#read = read;
    this.#leaseMs = leaseMs;
    this.#clocks = now;
  }

  /** What was read last, however long ago. */
  get latest(): ViewRegister | undefined {
    return this.#known?.register;
  }

  /** The register, where it holds for sure that readers have not been switched since. */
  get trusted(): ViewRegister | undefined {
    const known = this.#known;
    if (known === undefined || known.register.active === null || known.register.switchingTo !== null) return undefined;
    const age = this.#ageOf(known);
    return age < this.#leaseMs ? known.register : undefined;
  }

  /** The same, read where it is not known; it is read in good time where queries go on. @throws UnavailableError */
  async current(): Promise<ViewRegister> {
    const { trusted } = this;
    if (trusted === undefined) return this.fresh();
    if (this.#known !== undefined && this.#ageOf(this.#known) > this.#leaseMs / 2) this.#refresh();
    return trusted;
  }

  /** What the database says now. @throws UnavailableError */
  async fresh(): Promise<ViewRegister> {
    // As of before it was asked: the answer may be on its way for long.
    const asked = this.#clocks();
    const register = await this.#read();
    if (this.#known === undefined || asked.steadyMs >= this.#known.steadyMs) this.#known = { register, ...asked };
    return register;
  }

  #refresh(): void {
    this.#refreshing ??= this.fresh()
      .catch(() => {})
      .finally(() => {
        this.#refreshing = undefined;
      });
  }

  #ageOf(known: ReturnType<Clocks>): number {
    const now = this.#clocks();
    const wallMs = now.wallMs - known.wallMs;
    // A clock that was set back says nothing.
    return wallMs < -1 ? Number.POSITIVE_INFINITY : Math.max(now.steadyMs - known.steadyMs, wallMs);
  }
}

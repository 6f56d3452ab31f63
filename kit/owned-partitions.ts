/** What runs on one partition for as long as it is owned. */
export type PartitionRunner = {
  /** Begins once `after` has resolved: an earlier ownership of the same partition may still be draining. */
  start(after: Promise<void>): void;
  /** Finishes what is at work. Never rejects. */
  stop(): Promise<void>;
};

/** One runner for each partition that is owned now. */
export class OwnedPartitions<Runner extends PartitionRunner> {
  readonly #runnerOf: (partition: number) => Runner;
  readonly #owned = new Map<number, Runner>();
  readonly #leaving = new Map<number, Promise<void>>();

  constructor(runnerOf: (partition: number) => Runner) {
    this.#runnerOf = runnerOf;
  }

  get(partition: number): Runner | undefined {
    return this.#owned.get(partition);
  }

  all(): Runner[] {
    return [...this.#owned.values()];
  }

  /**
   * Owns exactly these partitions from now on. Takes new ones at once, leaves those alone that it has; resolves when
   * those that are given up have finished what they had at work.
   */
  async own(partitions: readonly number[]): Promise<void> {
    for (const [partition, runner] of this.#owned) {
      if (!partitions.includes(partition)) this.#giveUp(partition, runner);
    }
    for (const partition of partitions) {
      if (!this.#owned.has(partition)) this.#take(partition);
    }
    await Promise.all(this.#leaving.values());
  }

  #take(partition: number): void {
    const runner = this.#runnerOf(partition);
    this.#owned.set(partition, runner);
    runner.start(this.#leaving.get(partition) ?? Promise.resolve());
  }

  #giveUp(partition: number, runner: Runner): void {
    this.#owned.delete(partition);
    const left = Promise.all([this.#leaving.get(partition), runner.stop()]).then(() => {
      if (this.#leaving.get(partition) === left) this.#leaving.delete(partition);
    });
    this.#leaving.set(partition, left);
  }
}

import { type ConsumerOptions, type ConsumerParts, KeyedConsumer, type Reaction } from './consumer.ts';
import type { Health } from './lifecycle.ts';
import { Ownership, type OwnershipOptions } from './ownership.ts';

/** All reactions of a service, on the partitions that this process owns. */
export class Reactions {
  readonly #consumers: KeyedConsumer[];
  readonly #ownership: Ownership;
  #stopped = false;

  /** @throws Error where two reactions have the same name: they would be one consumer. */
  constructor(
    reactions: readonly Reaction[],
    parts: ConsumerParts,
    options: { consumer?: ConsumerOptions; ownership?: Partial<OwnershipOptions> } = {},
  ) {
    const names = reactions.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) throw new Error(`${parts.service} has two reactions of the name ${twice}`);
    this.#consumers = reactions.map((reaction) => new KeyedConsumer(reaction, parts, options.consumer));
    this.#ownership = new Ownership(parts, options.ownership);
    this.#ownership.onChange((partitions) => {
      if (this.#stopped) return;
      for (const consumer of this.#consumers) void consumer.own(partitions);
    });
  }

  /** The partitions that this process owns now. */
  get partitions(): readonly number[] {
    return this.#ownership.partitions;
  }

  async start(): Promise<void> {
    await this.#ownership.start();
  }

  /** Drains first and leaves then: whoever takes over finds everything acknowledged. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#consumers.map((consumer) => consumer.stop()));
    await this.#ownership.stop();
  }

  health(): Health {
    const reasons = this.#consumers.flatMap((consumer) => consumer.health().reasons);
    return { ready: reasons.length === 0, reasons };
  }
}

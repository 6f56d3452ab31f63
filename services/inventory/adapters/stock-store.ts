import { setTimeout as delay } from 'node:timers/promises';
import { type Collection, MongoServerError } from 'mongodb';
import { queried } from '#kit/database.ts';
import { CallError, PermanentError } from '#kit/errors.ts';
import type { ShownStock } from '../views/items/items-view.ts';
import type { StockDocument } from './stock-collections.ts';

const DUPLICATE_KEY = 11_000;
/** Pieces that were added a moment ago are shown soon: it is looked soon, and less often with time. */
const FIRST_LOOK_MS = 4;
const LOOK_MS = 50;
/** How long a query waits at most, whatever its caller's deadline. */
const MAX_WAIT_MS = 10_000;

/** Pieces that were added to items, and what there is of them now. */
export class StockStore {
  readonly #stock: Collection<StockDocument>;

  constructor(stock: Collection<StockDocument>) {
    this.#stock = stock;
  }

  /**
   * Adds the pieces of an item's event, once, whether it comes again or late.
   * @param version of the item, that the event made.
   * @throws PermanentError where the pieces of the version before are not there: they would be lost.
   */
  async add(sku: string, version: number, quantity: number): Promise<void> {
    if (version === 1) await this.#begin(sku);
    const { matchedCount } = await this.#stock.updateOne(
      { _id: sku, stockedVersion: version - 1 },
      { $inc: { available: quantity }, $set: { stockedVersion: version } },
    );
    if (matchedCount > 0) return;
    const found = await this.#stock.findOne({ _id: sku });
    const stockedVersion = found?.stockedVersion ?? 0;
    if (stockedVersion < version)
      throw new PermanentError(`the stock of ${sku} is at ${stockedVersion}, not ${version - 1}`);
  }

  /** The stock of these items, by sku; of one that has none yet, nothing. @throws UnavailableError */
  async of(skus: readonly string[]): Promise<Map<string, ShownStock>> {
    const projection = { available: 1, reserved: 1, stockedVersion: 1 };
    const query = this.#stock.find({ _id: { $in: [...skus] } }, { projection });
    const found = await queried(this.#stock, () => query.toArray());
    return new Map(found.map((each) => [each._id, each]));
  }

  /**
   * The same, once each item has the pieces of its version.
   * @throws CallError DEADLINE_EXCEEDED when the signal comes first.
   */
  async reached(versions: ReadonlyMap<string, number>, signal: AbortSignal): Promise<Map<string, ShownStock>> {
    const began = performance.now();
    for (;;) {
      const stock = await this.of([...versions.keys()]);
      if ([...versions].every(([sku, version]) => (stock.get(sku)?.stockedVersion ?? 0) >= version)) return stock;
      const elapsedMs = performance.now() - began;
      if (signal.aborted || elapsedMs > MAX_WAIT_MS) {
        throw new CallError('DEADLINE_EXCEEDED', 'the stock does not have all that was added yet');
      }
      const waitMs = Math.min(Math.max(FIRST_LOOK_MS, elapsedMs / 4), LOOK_MS);
      await delay(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  async #begin(sku: string): Promise<void> {
    const empty = { available: 0, reserved: 0, stockedVersion: 0, generation: 1, applied: [] };
    try {
      await this.#stock.insertOne({ _id: sku, ...empty });
    } catch (error) {
      if (!(error instanceof MongoServerError && error.code === DUPLICATE_KEY)) throw error;
    }
  }
}

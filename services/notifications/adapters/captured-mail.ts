import { type Collection, type Db, type Filter, MongoBulkWriteError } from 'mongodb';
import { Batches } from '#kit/batches.ts';
import { queried } from '#kit/database.ts';
import { type DestroyedKeys, ErasedKeys } from '#kit/erased-keys.ts';
import { TransientError } from '#kit/errors.ts';
import type { Email, Mailer } from '../emails/email.ts';
import type { EmailContent } from '../views/notifications/notification-queries.ts';

type CapturedEmail = {
  /** Its Message-ID: the same e-mail again is no second one. */
  _id: string;
  customerId: string;
  /** What sealed the recipient; not there in what an older program captured. */
  keyId: string;
  orderId: string;
  from: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  date: Date;
  capturedAt: Date;
};

const COLLECTION = 'captured_mail';
/** About 2 KB each. */
const KEPT = 5_000;
const DUPLICATE_KEY = 11_000;

/** Written at a time: a round trip costs the same for one as for many. */
const BATCH = 200;

/** Where there is no mail server: e-mail is kept in the database, the latest thousands, and sent to nobody. */
export class CapturedMail implements Mailer {
  readonly #collection: Collection<CapturedEmail>;
  readonly #erased: ErasedKeys;
  readonly #kept: number;
  readonly #clock: () => Date;
  readonly #batches: Batches<CapturedEmail, undefined>;
  #sinceSwept = 0;
  #isFirst = true;

  constructor(db: Db, clock: () => Date, { kept = KEPT }: { kept?: number } = {}) {
    this.#collection = db.collection(COLLECTION);
    this.#erased = new ErasedKeys(db);
    this.#kept = kept;
    this.#clock = clock;
    this.#batches = new Batches((emails) => this.#write(emails), { maxItems: BATCH, keyOf: ({ _id }) => _id });
  }

  async send({ from, to, subject, text, html, messageId, date, orderId, customerId, keyId }: Email): Promise<void> {
    await this.#batches.add({
      _id: messageId,
      customerId,
      keyId,
      orderId,
      from: from.address,
      to: to.address,
      subject,
      text,
      html,
      date,
      capturedAt: this.#clock(),
    });
  }

  /** Removes every e-mail to a customer whose keys these were. */
  async erase({ owner, keyIds }: DestroyedKeys): Promise<void> {
    await this.#remove({ $or: [{ keyId: { $in: [...keyIds] } }, { keyId: { $exists: false }, customerId: owner }] });
  }

  /** Whoever erased may have come before these were written; or before others, whose writer died before it looked. */
  async #eraseAgain(written: readonly CapturedEmail[]): Promise<void> {
    const used = new Set(written.map(({ keyId }) => keyId));
    const keys = this.#isFirst ? await this.#erased.recent() : await this.#erased.among([...used]);
    if (keys.length > 0) await this.#remove({ keyId: { $in: keys } });
    this.#isFirst = false;
  }

  async #remove(filter: Filter<CapturedEmail>): Promise<void> {
    await queried(this.#collection, () => this.#collection.deleteMany(filter));
  }

  async close(): Promise<void> {
    await this.#batches.settled();
  }

  /** What e-mails say, by Message-ID. @throws UnavailableError where the database is away. */
  async contentsOf(messageIds: readonly string[]): Promise<ReadonlyMap<string, EmailContent>> {
    const found = await queried(this.#collection, () =>
      this.#collection.find({ _id: { $in: [...messageIds] } }, { projection: { text: 1, html: 1 } }).toArray(),
    );
    return new Map(found.map(({ _id, text, html }) => [_id, { text, html }]));
  }

  async #write(emails: readonly CapturedEmail[]): Promise<undefined[]> {
    const operations = emails.map((email) => ({
      replaceOne: { filter: { _id: email._id }, replacement: email, upsert: true },
    }));
    try {
      await queried(this.#collection, () => this.#collection.bulkWrite(operations, { ordered: false }));
    } catch (error) {
      // Another process captured the same one at this moment.
      const isTwice = error instanceof MongoBulkWriteError && error.code === DUPLICATE_KEY;
      throw isTwice ? new TransientError('captured twice at the same time', { cause: error }) : error;
    }
    await this.#eraseAgain(emails);
    this.#sinceSwept += emails.length;
    if (this.#sinceSwept >= this.#kept / 10) await this.#sweep();
    return emails.map(() => undefined);
  }

  /** Removes what is older than the latest ones. */
  async #sweep(): Promise<void> {
    this.#sinceSwept = 0;
    const [oldest] = await queried(this.#collection, async () => {
      await this.#collection.createIndex({ capturedAt: -1 });
      return this.#collection
        .find({}, { projection: { capturedAt: 1 } })
        .sort({ capturedAt: -1 })
        .skip(this.#kept - 1)
        .limit(1)
        .toArray();
    });
    if (oldest === undefined) return;
    await queried(this.#collection, () => this.#collection.deleteMany({ capturedAt: { $lt: oldest.capturedAt } }));
  }
}

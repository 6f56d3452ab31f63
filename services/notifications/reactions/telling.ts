import { LRUCache } from 'lru-cache';
import type { EmailKind } from '#gen/causeway/notifications/v1/email_kind_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { CommandRequest } from '#kit/decider.ts';
import { PermanentError } from '#kit/errors.ts';
import type { RecordedEvent } from '#kit/event.ts';
import type { Keys } from '#kit/personal-data.ts';
import type { RecordEmail, Told } from '../domain/email.ts';
import { type Address, type Email, isAddress, type Mailer, messageIdOf } from '../emails/email.ts';
import { type News, orderEmail } from '../emails/order-email.ts';
import type { Recipient } from '../views/recipients/recipients-view.ts';

/** Where it is recorded what was sent. It forgets after a day. */
type EmailRecord = {
  /** As the journal's leader knows it. */
  told(orderId: string): Promise<Told | undefined>;
  record(request: CommandRequest<RecordEmail>): Promise<unknown>;
  /** Whether an older e-mail about an event is known: the view outlives its journal. */
  wasSent(causeId: string, signal: AbortSignal): Promise<boolean>;
};

export type TellingParts = {
  record: EmailRecord;
  mailer: Mailer;
  from: Address;
  keys: Keys;
  clock: () => Date;
};

/** The journal of what was sent keeps it for a day; clocks may differ by an hour. */
const RECORD_MS = 23 * 60 * 60 * 1_000;
/** E-mails that were sent and not recorded yet. */
const UNRECORDED = 10_000;

/**
 * Tells customers what happened to their orders: looks whether it was told, sends, records. A process that dies between
 * sending and recording sends again, with the same Message-ID; nothing else does.
 */
export class Telling {
  readonly #parts: TellingParts;
  /** So that a broker that is away after an e-mail was sent does not have it sent again. */
  readonly #unrecorded = new LRUCache<string, true>({ max: UNRECORDED });

  constructor(parts: TellingParts) {
    this.#parts = parts;
  }

  /**
   * @param find the recipient; undefined where there is no such order.
   * @throws what a Mailer throws; PermanentError where there is nobody to tell; UnavailableError.
   */
  async tell(
    event: RecordedEvent,
    { kind, news }: { kind: EmailKind; news: News },
    find: () => Promise<Recipient | undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    if (await this.#wasTold(event, signal)) return;
    const recipient = await find();
    if (recipient === undefined) throw new PermanentError(`there is no order ${event.key}`);
    if (await this.#isErased(recipient)) return;
    const email = this.#email(event, news, recipient);
    if (!this.#unrecorded.has(event.id)) {
      await this.#parts.mailer.send(email, signal);
      this.#unrecorded.set(event.id, true);
    }
    await this.#record(event, kind, email);
    this.#unrecorded.delete(event.id);
  }

  async #wasTold({ id, key, time }: RecordedEvent, signal: AbortSignal): Promise<boolean> {
    const { record, clock } = this.#parts;
    const told = await record.told(key);
    if (told?.causeIds.includes(id)) return true;
    return clock().getTime() - time.getTime() > RECORD_MS && (await record.wasSent(id, signal));
  }

  /** Also where the recipient was read before the customer was erased. */
  async #isErased({ email, keyId }: Recipient): Promise<boolean> {
    return email === '' || (await this.#parts.keys.find(keyId)) === undefined;
  }

  #email({ id, key, time }: RecordedEvent, news: News, recipient: Recipient): Email {
    if (!isAddress(recipient.email)) throw new PermanentError(`order ${key} has no e-mail address`);
    const { from } = this.#parts;
    return {
      from,
      to: { name: recipient.name, address: recipient.email },
      ...orderEmail(news, { orderId: key, ...recipient }),
      messageId: messageIdOf(id, from),
      date: time,
      orderId: key,
      customerId: recipient.customerId,
      keyId: recipient.keyId,
    };
  }

  async #record(event: RecordedEvent, kind: EmailKind, email: Email): Promise<void> {
    const { orderId, customerId, messageId, subject, to } = email;
    await this.#parts.record.record({
      ...causedBy(event, 'notifications'),
      key: orderId,
      dataOwner: customerId,
      command: {
        type: 'RecordEmail',
        orderId,
        customerId,
        kind,
        causeId: event.id,
        messageId,
        subject,
        to: to.address,
      },
    });
  }
}

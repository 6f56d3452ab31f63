import type { Decider } from '#kit/decider.ts';

/** What an e-mail is, once it is sent. */
type SentEmail = {
  orderId: string;
  customerId: string;
  /** What it tells: a number of the contract's EmailKind. */
  kind: number;
  /** Id of the event that it tells about. */
  causeId: string;
  messageId: string;
  /** Holds nothing personal: it is not sealed. */
  subject: string;
  to: string;
};

export type EmailSent = SentEmail & { type: 'EmailSent' };

export type RecordEmail = SentEmail & { type: 'RecordEmail' };

/** What a customer was told about one order: the ids of the events, the latest last. */
export type Told = { causeIds: readonly string[] };

/** An order has three events to tell of, and refunds. */
const REMEMBERED = 32;

/** Remembers which events about an order were told by e-mail, so that each is told once. */
export const email: Decider<RecordEmail, Told, EmailSent> = {
  initialState: { causeIds: [] },

  decide({ type: _, ...sent }, { causeIds }) {
    return causeIds.includes(sent.causeId) ? undefined : { type: 'EmailSent', ...sent };
  },

  evolve({ causeIds }, { causeId }) {
    return { causeIds: [...causeIds, causeId].slice(-REMEMBERED) };
  },
};

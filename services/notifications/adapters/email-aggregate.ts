import { EmailSentSchema } from '#gen/causeway/notifications/v1/events_pb.js';
import { EmailStateSchema } from '#gen/causeway/notifications/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { type EmailSent, email, type RecordEmail, type Told } from '../domain/email.ts';

/** The forms on the wire of what a customer was told about an order. */
export const emailAggregate: Aggregate<RecordEmail, Told, EmailSent, typeof EmailStateSchema> = {
  name: 'email',
  decider: email,
  events: { EmailSent: EmailSentSchema },
  state: {
    type: EmailStateSchema,
    version: 1,
    encode: ({ causeIds }) => ({ causeIds: [...causeIds] }),
    decode: ({ causeIds }) => ({ causeIds }),
  },
};

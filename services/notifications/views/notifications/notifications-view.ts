import type { EmailKind } from '#gen/causeway/notifications/v1/email_kind_pb.js';
import { type EmailSent, EmailSentSchema } from '#gen/causeway/notifications/v1/events_pb.js';
import { EventTypes } from '#kit/event.ts';
import { NOTICES } from '#kit/streams.ts';
import type { View } from '#kit/view.ts';

/** An e-mail that was sent; its id is that of the event that it tells about. */
export type NotificationDocument = {
  orderId: string;
  customerId: string;
  kind: EmailKind;
  messageId: string;
  to: string;
  subject: string;
  sentAt: Date;
};

/** What was sent. Its journal forgets after a day: what is older stays only as long as nobody drops the view. */
export const notificationsView: View<NotificationDocument, EmailSent> = {
  name: 'notifications',
  version: 1,
  sources: [{ journal: NOTICES, aggregate: 'email' }],
  types: new EventTypes([EmailSentSchema]),
  ownerField: 'customerId',
  erased: (email) => ({ ...email, to: '' }),
  documentId: ({ data }) => data.causeId,
  indexes: [
    { key: { orderId: 1, sentAt: -1, _id: -1 } },
    { key: { customerId: 1, sentAt: -1, _id: -1 } },
    { key: { sentAt: -1, _id: -1 } },
  ],
  project: (_, { data: { orderId, customerId, kind, messageId, to, subject }, time }) => ({
    orderId,
    customerId,
    kind,
    messageId,
    to,
    subject,
    sentAt: time,
  }),
};

import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  ListNotificationsResponseSchema,
  type Notification,
  NotificationSchema,
  NotificationService,
} from '#gen/causeway/notifications/v1/notifications_service_pb.js';
import { CallError } from '#kit/errors.ts';
import type { Projection } from '#kit/projection.ts';
import type { Call } from '#kit/rpc/call.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import {
  type EmailContent,
  type FoundNotification,
  listNotifications,
} from '../views/notifications/notification-queries.ts';
import type { NotificationDocument } from '../views/notifications/notifications-view.ts';

const DEFAULT_PAGE_SIZE = 20;

export type NotificationDoorParts = {
  notifications: Projection<NotificationDocument>;
  /** What e-mails say, by Message-ID, where they were kept. */
  contentsOf(messageIds: readonly string[]): Promise<ReadonlyMap<string, EmailContent>>;
};

/** NotificationService: what customers were told. */
export function notificationDoor({ notifications, contentsOf }: NotificationDoorParts): Door {
  return door(NotificationService, {
    async listNotifications({ orderId, customerId, pageSize, pageToken, atLeast }, call) {
      const filter = {
        orderId: orderId === '' ? undefined : orderId.toLowerCase(),
        customerId: listedCustomer(customerId, call),
      };
      const reader = await notifications.reached(atLeast, call.signal);
      const size = pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
      const page = await listNotifications(reader, contentsOf, filter, size, pageToken);
      return create(ListNotificationsResponseSchema, {
        notifications: page.notifications.map(notificationMessage),
        nextPageToken: page.nextPageToken,
      });
    },
  });
}

function notificationMessage({ _id, sentAt, ...found }: FoundNotification): Notification {
  const { orderId, customerId, kind, messageId, to, subject, text, html } = found;
  return create(NotificationSchema, {
    causeId: _id,
    orderId,
    customerId,
    kind,
    messageId,
    to,
    subject,
    sentAt: timestampFromDate(sentAt),
    text,
    html,
  });
}

function listedCustomer(customerId: string, { caller }: Call): string | undefined {
  if (caller.role === 'operator') return customerId === '' ? undefined : customerId;
  if (customerId !== '' && customerId !== caller.subject) {
    throw new CallError('PERMISSION_DENIED', 'customer_id: a customer sees its own e-mails only', {
      reason: 'NOT_YOUR_CUSTOMER_ID',
      violations: [{ field: 'customer_id', description: 'a customer sees its own e-mails only' }],
    });
  }
  return caller.subject;
}

import type { Filter } from 'mongodb';
import { invalid } from '#kit/errors.ts';
import type { Stored } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';
import type { NotificationDocument } from './notifications-view.ts';

export type NotificationFilter = { orderId: string | undefined; customerId: string | undefined };

/** What an e-mail says, where it was kept. */
export type EmailContent = { text: string; html: string };

export type FoundNotification = Stored<NotificationDocument> & EmailContent;

/** Clients read answers of up to 4 MB. A page ends before it is that large, and goes on with the next one. */
const MAX_CONTENT_LENGTH = 1_000_000;

/**
 * A page of e-mails, the newest first, and the token of the next page; empty after the last.
 * @param contentsOf what e-mails say, by Message-ID; those that were not kept are left out.
 */
export async function listNotifications(
  { query }: ViewReader<NotificationDocument>,
  contentsOf: (messageIds: readonly string[]) => Promise<ReadonlyMap<string, EmailContent>>,
  { orderId, customerId }: NotificationFilter,
  pageSize: number,
  pageToken: string,
): Promise<{ notifications: FoundNotification[]; nextPageToken: string }> {
  const filter = {
    ...(orderId === undefined ? {} : { orderId }),
    ...(customerId === undefined ? {} : { customerId }),
    // Checkpoints stand in the same collection, and have no revision.
    revision: { $gte: 1 },
    ...(pageToken === '' ? {} : after(pageToken)),
  } as Filter<Stored<NotificationDocument>>;
  const found = (await query((documents) =>
    documents
      .find(filter)
      .sort({ sentAt: -1, _id: -1 })
      .limit(pageSize + 1)
      .toArray(),
  )) as Stored<NotificationDocument>[];
  const contents = await contentsOf(found.map(({ messageId }) => messageId));
  const notifications = onePage(found, contents, pageSize);
  const last = notifications.at(-1);
  const isLast = notifications.length === found.length || last === undefined;
  return { notifications, nextPageToken: isLast ? '' : tokenOf(last) };
}

/** The first ones, as many as fit on a page; one at least. */
function onePage(
  found: readonly Stored<NotificationDocument>[],
  contents: ReadonlyMap<string, EmailContent>,
  pageSize: number,
): FoundNotification[] {
  const page: FoundNotification[] = [];
  let length = 0;
  for (const each of found.slice(0, pageSize)) {
    const { text, html } = contents.get(each.messageId) ?? { text: '', html: '' };
    length += text.length + html.length;
    if (page.length > 0 && length > MAX_CONTENT_LENGTH) break;
    page.push({ ...each, text, html });
  }
  return page;
}

function tokenOf({ sentAt, _id }: Stored<NotificationDocument>): string {
  return Buffer.from(`${sentAt.getTime()} ${_id}`).toString('base64url');
}

function after(token: string) {
  const [time, id] = Buffer.from(token, 'base64url').toString().split(' ');
  const sentAt = new Date(Number(time));
  if (id === undefined || Number.isNaN(sentAt.getTime())) throw invalid('page_token', 'is not a token of this list');
  // The first condition says nothing new, but where an index has to begin.
  return { sentAt: { $lte: sentAt }, $or: [{ sentAt: { $lt: sentAt } }, { _id: { $lt: id } }] };
}

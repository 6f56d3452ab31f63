import { KeyedConsumer } from '#kit/consumer.ts';
import { CommandHandler } from '#kit/decider.ts';
import { erasures, forgetErased } from '#kit/erasure.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import { becomesReady, healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import type { SettingValues } from '#kit/settings.ts';
import { journalOf, NOTICES } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { CapturedMail } from './adapters/captured-mail.ts';
import { emailAggregate } from './adapters/email-aggregate.ts';
import { SmtpMailer } from './adapters/smtp-mailer.ts';
import { notificationDoor } from './doors/notification-service.ts';
import { senderOf } from './emails/email.ts';
import { emailOnOrderProgress, emailOnPaymentRefunded } from './reactions/email-reactions.ts';
import { Recipients } from './reactions/recipients.ts';
import { Telling } from './reactions/telling.ts';
import { notificationsSettings } from './settings.ts';
import { notificationsView } from './views/notifications/notifications-view.ts';
import { recipientsView } from './views/recipients/recipients-view.ts';

export { notificationsSettings };

/** A server that can't take an e-mail now wants it minutes later, not seconds. */
const patience = { maxAttempts: 12, backoff: { minMs: 500, maxMs: 60_000 } };

/**
 * Notifications: what customers are told by e-mail.
 *
 * | door | does |
 * | --- | --- |
 * | NotificationService | queries on the view |
 *
 * | reaction | to | does |
 * | --- | --- | --- |
 * | email-on-order-progress | ORDERS: OrderConfirmed, OrderShipped, OrderCancelled | an e-mail, then EmailSent |
 * | email-on-payment-refunded | PAYMENTS: PaymentRefunded | the same |
 * | forget-erased-customers | OPERATIONS: PersonalDataErased | removes what is personal from views and captured e-mails |
 *
 * | projection | made from |
 * | --- | --- |
 * | recipients | ORDERS: who ordered what |
 * | notifications | NOTICES |
 */
export async function notifications(
  parts: ServiceParts,
  { smtpUrl, mailFrom }: SettingValues<typeof notificationsSettings>,
): Promise<Service> {
  const { broker, db, personalData, clock, logger } = parts;
  const journal = new Journal(NOTICES, broker);
  const orders = new Journal(journalOf('orders'), broker);
  const commands = new CommandHandler(journal, emailAggregate, personalData, clock);
  const projections = {
    recipients: new Projection(recipientsView, parts),
    notifications: new Projection(notificationsView, parts),
  };
  const captured = new CapturedMail(db, clock);
  const mailer = smtpUrl === undefined ? captured : new SmtpMailer(smtpUrl);
  const telling = new Telling({
    record: {
      told: async (orderId) => (await commands.state(orderId))?.state,
      record: (request) => commands.handle(request),
      async wasSent(causeId, signal) {
        const { find } = await projections.notifications.reached([], signal);
        return (await find(causeId)) !== undefined;
      },
    },
    mailer,
    from: senderOf(mailFrom),
    keys: personalData,
    clock,
  });
  const recipients = new Recipients(projections.recipients, orders);
  const work = new OwnedWork(
    [
      ...Object.values(projections),
      new KeyedConsumer(emailOnOrderProgress(telling, recipients), parts, patience),
      new KeyedConsumer(emailOnPaymentRefunded(telling, recipients), parts, patience),
      forgetErased([...Object.values(projections), captured], parts),
    ],
    [commands],
    parts,
  );

  const health = () => healthOf(parts, journal, [work]);
  let endObserving = () => {};

  return {
    name: 'notifications',
    doors: [
      notificationDoor({
        notifications: projections.notifications,
        contentsOf: (messageIds) => captured.contentsOf(messageIds),
      }),
    ],
    async start() {
      await journal.ensure();
      await ensureJournals(broker, [orders.declaration, journalOf('payments'), erasures.journal]);
      endObserving = observeJournal(broker, journal.declaration, logger);
      await work.start(health);
      // What happens before a consumer that begins now is there would be told to nobody.
      await becomesReady(async () => work.health());
    },
    async stop() {
      endObserving();
      await work.stop();
      await mailer.close();
    },
    health,
    describe: () => work.describe(),
  };
}

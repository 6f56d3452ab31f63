import { text, url } from '#kit/settings.ts';

/** Where e-mail goes. */
export const notificationsSettings = {
  smtpUrl: url('SMTP_URL', ['smtp', 'smtps'], 'mail server', 'a local capture: mail is kept, and sent to nobody'),
  mailFrom: text('MAIL_FROM', 'Causeway <orders@causeway.example>', 'whom e-mail comes from'),
};

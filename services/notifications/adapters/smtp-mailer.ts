import { createTransport } from 'nodemailer';
import { PermanentError, TransientError, UnavailableError } from '#kit/errors.ts';
import type { Email, Mailer } from '../emails/email.ts';

const MAX_CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 5_000;
const SILENCE_TIMEOUT_MS = 15_000;
/** A connection that the server has closed meanwhile is replaced by another one, once. */
const MAX_REQUEUES = 1;

type Timeouts = { connectMs: number; silenceMs: number };

/** Hands e-mail to a mail server over a few connections that are kept open. @param url `smtp://` or `smtps://`. */
export class SmtpMailer implements Mailer {
  readonly #transport: ReturnType<typeof pooled>;

  constructor(url: string, timeouts: Timeouts = { connectMs: CONNECT_TIMEOUT_MS, silenceMs: SILENCE_TIMEOUT_MS }) {
    this.#transport = pooled(url, timeouts);
  }

  async send({ from, to, subject, text, html, messageId, date, orderId }: Email, signal: AbortSignal): Promise<void> {
    try {
      await this.#transport.sendMail({
        from,
        to,
        subject,
        text,
        html,
        messageId,
        date,
        headers: { 'Auto-Submitted': 'auto-generated', 'X-Causeway-Order-Id': orderId },
        signal,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw await this.#judged(error as SmtpError);
    }
  }

  async close(): Promise<void> {
    this.#transport.close();
  }

  /** What an error says of its e-mail. A server's words are not passed on: they tend to name the recipient. */
  async #judged({ code = '', command = '', responseCode }: SmtpError): Promise<Error> {
    if (code === 'EENVELOPE' || code === 'EMESSAGE') {
      const words = `the mail server answers ${responseCode ?? code} to ${command}`;
      // The sender is the same for every e-mail: nothing is wrong with this one.
      if (command === 'MAIL FROM') return new UnavailableError(words);
      return isRefusal(responseCode) ? new PermanentError(words) : new TransientError(words);
    }
    try {
      await this.#transport.verify();
    } catch {
      return new UnavailableError(`the mail server is away: ${code}`);
    }
    // It is there, and does not come to an end with this e-mail, which it may have taken: not to be tried for ever.
    return new TransientError(`the mail server ended the connection: ${code}`);
  }
}

type SmtpError = Error & { code?: string; command?: string; responseCode?: number };

function isRefusal(responseCode: number | undefined): boolean {
  return responseCode === undefined || responseCode >= 500;
}

function pooled(url: string, { connectMs, silenceMs }: Timeouts) {
  return createTransport({
    url,
    pool: true,
    maxConnections: MAX_CONNECTIONS,
    maxRequeues: MAX_REQUEUES,
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    socketTimeout: silenceMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

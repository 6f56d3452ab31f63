import { hash } from 'node:crypto';
import { StartError } from '#kit/process.ts';

export type Address = { name: string; address: string };

/** An e-mail as it is handed to a mail server. */
export type Email = {
  from: Address;
  to: Address;
  subject: string;
  text: string;
  html: string;
  /** With its angle brackets. */
  messageId: string;
  date: Date;
  orderId: string;
  customerId: string;
  /** Of the customer's data. */
  keyId: string;
};

/** Where e-mail goes. */
export type Mailer = {
  /**
   * Resolves when the e-mail is taken on: who took it answers for it. One that fails may have been taken on all the same.
   * @throws UnavailableError where nobody is there to take any e-mail; TransientError where this one may be taken later;
   *   PermanentError where it never will. What they say is kept and logged: it holds nothing personal.
   */
  send(email: Email, signal: AbortSignal): Promise<void>;
  /** Lets go of its connections. */
  close(): Promise<void>;
};

/**
 * Whom e-mail comes from, out of a setting such as `Causeway <orders@causeway.example>`.
 * @throws StartError where it has no address.
 */
export function senderOf(mailFrom: string): Address {
  const [, name = '', bracketed, bare] =
    /^([^<>\r\n]*)<([^<>\s@]+@[^<>\s@]+)>$|^([^<>\s@]+@[^<>\s@]+)$/.exec(mailFrom) ?? [];
  const address = bracketed ?? bare;
  if (address === undefined) {
    throw new StartError(`MAIL_FROM must be an address, or a name with one in <>, not ${JSON.stringify(mailFrom)}`);
  }
  return { name: name.trim().replace(/^"(.*)"$/, '$1'), address };
}

/** The same for the same cause: whoever gets an e-mail a second time can tell. */
export function messageIdOf(causeId: string, { address }: Address): string {
  return `<${hash('sha256', causeId).slice(0, 32)}@${address.split('@')[1]}>`;
}

/** What an HTML form takes for one (WHATWG HTML, 4.10.5.1.5), as the orders' contract does: nothing that could end it. */
const ADDRESS = /^[\w.!#$%&'*+/=?^`{|}~-]+@[a-z\d](?:[a-z\d-]*[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]*[a-z\d])?)*$/i;

export function isAddress(text: string): boolean {
  return ADDRESS.test(text);
}

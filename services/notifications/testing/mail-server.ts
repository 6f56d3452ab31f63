import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { onTestFinished } from 'vitest';

/** What came over the wire. */
type ReceivedMail = { from: string; to: string[]; headers: Map<string, string>; text: string; html: string };

export type MailServer = {
  url: string;
  received: ReceivedMail[];
  /** How often it was handed the content of an e-mail, whatever it answered. */
  handed(): number;
  /** Answers from now on: to the connection, the sender, the recipient or the content. Codes below 400: takes it. */
  answer(answers: Answers): void;
  stop(): Promise<void>;
};

type Answers = { connect?: number; from?: number; to?: number; data?: number | 'drop' | 'nothing' };

/** A mail server on loopback that can also refuse, or go away with the content in its hands. */
export async function mailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  let answers: Answers = {};
  let handed = 0;
  const received: ReceivedMail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: options.secure === true ? [] : ['STARTTLS'],
    logger: false,
    closeTimeout: 100,
    ...options,
    onConnect: (_, callback) => callback(refusal(answers.connect)),
    onMailFrom: (_, __, callback) => callback(refusal(answers.from)),
    onRcptTo: ({ address }, _, callback) => callback(refusal(answers.to, address)),
    onData: async (stream, { envelope }, callback) => {
      const raw = await text(stream);
      handed++;
      if (answers.data === 'nothing') return;
      if (answers.data === 'drop') {
        for (const connection of server.connections) connection.close();
        return;
      }
      const error = refusal(answers.data);
      const { mailFrom, rcptTo } = envelope;
      if (error === null && mailFrom) {
        received.push({ from: mailFrom.address, to: rcptTo.map(({ address }) => address), ...parsed(raw) });
      }
      callback(error);
    },
  });
  server.on('error', () => {});
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  const stop = () => new Promise<void>((resolve) => server.close(() => resolve()));
  onTestFinished(stop);
  return {
    url: `${options.secure === true ? 'smtps' : 'smtp'}://127.0.0.1:${port}`,
    received,
    handed: () => handed,
    answer: (given) => {
      answers = given;
    },
    stop,
  };
}

/** Servers tend to name whom they refuse. */
function refusal(code = 250, about = ''): Error | null {
  if (code < 400) return null;
  return Object.assign(new Error(`<${about}> is not welcome`), { responseCode: code });
}

/** Headers, and the two parts of multipart/alternative. */
function parsed(raw: string): Pick<ReceivedMail, 'headers' | 'text' | 'html'> {
  const { headers, body } = split(raw);
  const boundary = /boundary="([^"]+)"/.exec(headers.get('content-type') ?? '')?.[1] ?? '';
  const parts = body.split(`--${boundary}`).map((part) => split(part.replace(/^\r\n/, '')));
  const ofType = (type: string) => parts.find((part) => part.headers.get('content-type')?.startsWith(type));
  return { headers, text: content(ofType('text/plain')), html: content(ofType('text/html')) };
}

type Part = { headers: Map<string, string>; body: string };

function split(raw: string): Part {
  const end = raw.indexOf('\r\n\r\n');
  const lines = raw
    .slice(0, end)
    .replaceAll(/\r\n[ \t]/g, ' ')
    .split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { headers: new Map(headers), body: raw.slice(end + 4) };
}

function content(part: Part | undefined): string {
  const body = part?.body ?? '';
  switch (part?.headers.get('content-transfer-encoding')) {
    case 'base64':
      return Buffer.from(body, 'base64').toString();
    case 'quoted-printable':
      return Buffer.from(
        body
          .replaceAll('=\r\n', '')
          .replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
        'latin1',
      ).toString();
    default:
      return body;
  }
}

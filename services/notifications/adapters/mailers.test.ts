import { describe, expect, onTestFinished, test } from 'vitest';
import { connectDatabase } from '#kit/database.ts';
import { ErasedKeys } from '#kit/erased-keys.ts';
import { PermanentError, TransientError, UnavailableError } from '#kit/errors.ts';
import { sharedMongoUri } from '#kit/testing/servers.ts';
import type { Email, Mailer } from '../emails/email.ts';
import { type MailServer, mailServer } from '../testing/mail-server.ts';
import { CapturedMail } from './captured-mail.ts';
import { SmtpMailer } from './smtp-mailer.ts';

const email: Email = {
  from: { name: 'Causeway', address: 'orders@causeway.example' },
  to: { name: 'Anna Nováková', address: 'anna@example.com' },
  subject: 'Your order order-1 is confirmed',
  text: 'Hello Anna Nováková,\n\n2 x Coffee beans',
  html: '<p>Hello Anna Nov&aacute;kov&aacute;,</p>',
  messageId: '<0123456789abcdef@causeway.example>',
  date: new Date('2026-11-24T10:00:00Z'),
  orderId: 'order-1',
  customerId: 'anna',
  keyId: 'YW5uYQ.1',
};

const anyTime = () => new AbortController().signal;

type Kept = Pick<Email, 'messageId' | 'subject' | 'text' | 'html' | 'date'> & { from: string; to: string };

type Opened = { mailer: Mailer; kept(): Promise<Kept[]> };

type Kind = typeof UnavailableError | typeof TransientError | typeof PermanentError;

const shortWaits = { connectMs: 500, silenceMs: 500 };

function smtp(url: string): Mailer {
  const mailer = new SmtpMailer(url, shortWaits);
  onTestFinished(() => mailer.close());
  return mailer;
}

async function overSmtp(): Promise<Opened> {
  const server = await mailServer();
  const kept = async () =>
    server.received.map(({ from, to, headers, text, html }) => ({
      messageId: headers.get('message-id') ?? '',
      subject: headers.get('subject') ?? '',
      date: new Date(headers.get('date') ?? ''),
      from,
      to: to.join(),
      // Lines end with CRLF on the wire, and the last one with the part.
      text: text.replaceAll('\r\n', '\n').trim(),
      html: html.replaceAll('\r\n', '\n').trim(),
    }));
  return { mailer: smtp(server.url), kept };
}

async function captured(): Promise<Opened> {
  const { db, close } = connectDatabase(sharedMongoUri(), 'notifications');
  onTestFinished(close);
  const kept = async () => {
    const found = await db.collection('captured_mail').find().toArray();
    return found.map(({ _id, subject, text, html, date, from, to }) => ({
      messageId: String(_id),
      ...{ subject, text, html, date, from, to },
    }));
  };
  return { mailer: new CapturedMail(db, () => new Date()), kept };
}

describe.each([
  { name: 'a mail server', open: overSmtp, nobody: async () => smtp('smtp://127.0.0.1:1') },
  {
    name: 'the local capture',
    open: captured,
    nobody: async () => {
      const { db, close } = connectDatabase('mongodb://127.0.0.1:1', 'notifications');
      onTestFinished(close);
      return new CapturedMail(db, () => new Date());
    },
  },
])('$name', ({ open, nobody }) => {
  test('has an e-mail as it was sent', async () => {
    const { mailer, kept } = await open();

    await mailer.send(email, anyTime());

    const { from, to, orderId: _, customerId: __, keyId: ___, ...content } = email;
    expect(await kept()).toEqual([{ ...content, from: from.address, to: to.address }]);
  });

  test('has many that are sent at the same time', async () => {
    const { mailer, kept } = await open();
    const ids = Array.from({ length: 100 }, (_, number) => `<${number}@causeway.example>`);

    await Promise.all(ids.map((messageId) => mailer.send({ ...email, messageId }, anyTime())));

    expect((await kept()).map(({ messageId }) => messageId).sort()).toEqual(ids.toSorted());
  });

  test('shows by its Message-ID that an e-mail comes again', async () => {
    const { mailer, kept } = await open();

    await Promise.all([mailer.send(email, anyTime()), mailer.send(email, anyTime())]);
    await mailer.send(email, anyTime());

    expect(new Set((await kept()).map(({ messageId }) => messageId))).toEqual(new Set([email.messageId]));
  });

  test('is waited for where it is away', async () => {
    const mailer = await nobody();

    await expect(mailer.send(email, anyTime())).rejects.toThrow(UnavailableError);
  });
});

test('the local capture keeps the latest ones, and has what they say', async () => {
  const { db, close } = connectDatabase(sharedMongoUri(), 'notifications');
  onTestFinished(close);
  let now = 0;
  const capture = new CapturedMail(db, () => new Date(++now), { kept: 20 });

  for (let number = 0; number < 100; number++) {
    await capture.send({ ...email, messageId: `<${number}>`, text: `number ${number}` });
  }

  expect(await db.collection('captured_mail').countDocuments()).toBeLessThanOrEqual(22);
  expect([...(await capture.contentsOf(['<0>', '<99>', '<98>']))].toSorted()).toEqual([
    ['<98>', { text: 'number 98', html: email.html }],
    ['<99>', { text: 'number 99', html: email.html }],
  ]);
});

test('the local capture forgets who was erased, whichever comes first, and nobody else', async () => {
  const { db, close } = connectDatabase(sharedMongoUri(), 'notifications');
  onTestFinished(close);
  const capture = new CapturedMail(db, () => new Date());
  const [before, after] = [
    { ...email, messageId: '<before>' },
    { ...email, messageId: '<after>' },
  ];
  const others = { ...email, messageId: '<others>', customerId: 'bert', keyId: 'YmVydA.1' };
  const anna = { owner: 'anna', keyIds: [email.keyId] };
  await capture.send(before);
  await capture.send(others);

  await new ErasedKeys(db).note(anna.keyIds);
  await capture.erase(anna);
  await capture.send(after);

  const kept = await db.collection('captured_mail').find({}).toArray();
  expect(kept.map(({ _id }) => String(_id))).toEqual(['<others>']);
});

describe('over SMTP', () => {
  test('an e-mail says what it is, by whom and to whom', async () => {
    const server = await mailServer();

    await smtp(server.url).send(email, anyTime());

    const headers = Object.fromEntries(server.received[0]?.headers ?? []);
    expect(headers).toMatchObject({
      from: 'Causeway <orders@causeway.example>',
      to: expect.stringMatching(/^=\?UTF-8\?.*\?= <anna@example\.com>$/),
      date: 'Tue, 24 Nov 2026 10:00:00 +0000',
      'auto-submitted': 'auto-generated',
      'x-causeway-order-id': 'order-1',
    });
    expect(headers['content-type']).toMatch(/^multipart\/alternative;/);
  });

  test.each(['Anna\r\nBcc: eve@example.com', 'Anna" <eve@example.com>, "', 'Anna\n\n<script>', 'eve@example.com,'])(
    'a name such as %j adds neither a header nor a recipient',
    async (name) => {
      const server = await mailServer();

      await smtp(server.url).send({ ...email, to: { name, address: 'anna@example.com' } }, anyTime());

      expect(server.received).toMatchObject([{ to: ['anna@example.com'], text: expect.stringContaining('Coffee') }]);
      expect(server.received[0]?.headers.has('bcc')).toBe(false);
      expect(server.received[0]?.headers.get('to')).toMatch(/<anna@example\.com>$/);
    },
  );

  test('by TLS from the first byte, an e-mail comes in too', async () => {
    const server = await mailServer({ secure: true });

    await smtp(`${server.url}?tls.rejectUnauthorized=false`).send(email, anyTime());

    expect(server.received).toHaveLength(1);
  });

  test('a certificate that nobody vouches for is an outage', async () => {
    const server = await mailServer({ secure: true });

    await expect(smtp(server.url).send(email, anyTime())).rejects.toThrow(UnavailableError);
  });

  test.each<[string, Parameters<MailServer['answer']>[0], Kind]>([
    ['a server that takes nothing now', { connect: 421 }, UnavailableError],
    ['a server that lets nobody in', { connect: 554 }, UnavailableError],
    ['a sender that is not let in', { from: 550 }, UnavailableError],
    ['a sender that has to wait', { from: 451 }, UnavailableError],
    ['a recipient that has to wait', { to: 450 }, TransientError],
    ['a recipient that there is not', { to: 550 }, PermanentError],
    ['content that has to wait', { data: 452 }, TransientError],
    ['content that is refused', { data: 554 }, PermanentError],
    ['a connection that ends with the content handed over', { data: 'drop' }, TransientError],
    ['no answer to the content', { data: 'nothing' }, TransientError],
  ])('%s', async (_, answers, expected) => {
    const server = await mailServer();
    const mailer = smtp(server.url);
    await mailer.send(email, anyTime());
    server.answer(answers);
    const isNewConnection = answers.connect !== undefined;

    const refused = await (isNewConnection ? smtp(server.url) : mailer).send(email, anyTime()).catch((error) => error);

    expect(refused).toBeInstanceOf(expected);
    expect(`${refused.message} ${refused.cause}`).not.toContain('anna');
    // Handed over once, whatever became of it.
    expect(server.handed()).toBe('data' in answers ? 2 : 1);
    server.answer({});
    await mailer.send({ ...email, messageId: '<after@causeway.example>' }, anyTime());
    expect(server.received.at(-1)?.headers.get('message-id')).toBe('<after@causeway.example>');
  });

  test('a server that says goodbye, and is gone, is waited for', async () => {
    const server = await mailServer();
    const mailer = smtp(server.url);
    await mailer.send(email, anyTime());

    server.answer({ to: 421, connect: 421 });

    await expect(mailer.send(email, anyTime())).rejects.toThrow(UnavailableError);
  });

  test('a wrong password is an outage', async () => {
    const server = await mailServer({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: (_, __, callback) => callback(new Error('no')),
    });

    const url = server.url.replace('://', '://user:wrong@');
    await expect(smtp(url).send(email, anyTime())).rejects.toThrow(UnavailableError);
  });

  test('a server that goes away while connections are open is waited for', async () => {
    const server = await mailServer();
    const mailer = smtp(server.url);
    await mailer.send(email, anyTime());

    await server.stop();

    await expect(mailer.send(email, anyTime())).rejects.toThrow(UnavailableError);
  });

  test('an attempt that is over is not gone on with', async () => {
    const server = await mailServer();
    server.answer({ data: 'nothing' });

    await expect(smtp(server.url).send(email, AbortSignal.timeout(100))).rejects.toThrow(DOMException);
  });
});

import { expect, onTestFinished, test, vi } from 'vitest';
import type { Broker } from './broker.ts';
import type { StoredMessage } from './event.ts';
import { type Live, LiveEvents, type Missed } from './live.ts';
import { subjectOf } from './partitions.ts';
import { publishRaw } from './testing/raw.ts';
import { openBank, ownConnection } from './testing/reacting.ts';
import { ownNats } from './testing/servers.ts';

const soon = { timeout: 20_000, interval: 10 };

/** Of this file's own: a follower hears of a key in every journal, so also of other tests' banks. */
const nats = await ownNats();

/** Follows a key; what came so far is in `got`, and `ended` resolves when there will be no more. */
function follow(broker: Broker, key: string) {
  const end = new AbortController();
  onTestFinished(() => end.abort());
  const got: (number | Missed)[] = [];
  const live = new LiveEvents(broker, { key }, end.signal);
  const read = async (messages: AsyncIterable<Live>) => {
    for await (const message of messages) got.push('missed' in message ? message : message.sequence);
  };
  return { live, got, end, ended: read(live) };
}

test('a follower gets what is stored about its key, in order, with where it stands', async () => {
  const bank = await openBank(nats.url);
  const { got } = follow(bank.broker, 'anna');
  const sequences: number[] = [];
  for (let amount = 0; amount < 20; amount++) {
    sequences.push(await bank.deposit('anna', amount));
    await bank.deposit('bert', amount);
  }
  await vi.waitFor(() => expect(got).toEqual(sequences), soon);
});

test('a follower of everything gets what it asks for only, and what nobody can read ends nothing', async () => {
  const bank = await openBank(nats.url);
  const end = new AbortController();
  onTestFinished(() => end.abort());
  const got: string[] = [];
  const matches = ({ subject, headers }: StoredMessage) =>
    subject.startsWith(bank.service) && headers.get('ce-type').endsWith('.MoneyDeposited');
  const reading = (async () => {
    for await (const message of new LiveEvents(bank.broker, { aggregate: 'account', matches }, end.signal)) {
      if (!('missed' in message)) got.push(message.subject.split('.').at(-1) ?? '');
    }
  })();
  await bank.deposit('anna', 1);
  await bank.withdraw('anna', 1);
  await publishRaw(nats.url, subjectOf(bank.service, 'account', 'anna'), 'NATS/1.0\r\nce-id: a\nb\r\n\r\n');
  await expect.poll(() => bank.journal.lastSequence()).toBe(3);
  await bank.deposit('bert', 1);

  await vi.waitFor(() => expect(got).toEqual(['anna', 'bert']), soon);
  end.abort();
  await reading;
});

test('what the journal refused does not come to a follower', async () => {
  const bank = await openBank(nats.url);
  const { got } = follow(bank.broker, 'anna');
  const first = await bank.deposit('anna', 1);
  const refused = bank.broker.js.publish(subjectOf(bank.service, 'account', 'anna'), new Uint8Array(), {
    expect: { lastSubjectSequence: first + 100 },
  });
  await expect(refused).rejects.toThrow('wrong last sequence');
  const second = await bank.deposit('anna', 2);
  await vi.waitFor(() => expect(got).toEqual([first, second]), soon);
});

test('what stands in no journal does not come to a follower either', async () => {
  const bank = await openBank(nats.url);
  const { got } = follow(bank.broker, 'anna');
  const live = `live.${subjectOf(bank.service, 'account', 'anna')}`;
  for (const said of ['', 'Nats-Sequence: x\r\n'])
    await publishRaw(nats.url, live, `NATS/1.0\r\nce-id: a\r\n${said}\r\n`);
  const sequence = await bank.deposit('anna', 1);
  await vi.waitFor(() => expect(got).toEqual([sequence]), soon);
});

test('a follower is told when it may have missed something', async () => {
  const other = await ownNats();
  const bank = await openBank(other.url);
  const { got } = follow(await ownConnection(other.url), 'anna');
  await other.kill();
  await other.restart();
  await vi.waitFor(() => expect(got).toEqual([{ missed: undefined }]), soon);
  const sequence = await vi.waitFor(() => bank.deposit('anna', 1), soon);
  await vi.waitFor(() => expect(got).toContain(sequence), soon);
});

test('a follower that does not read is told so, and costs a bounded amount of memory', async () => {
  const bank = await openBank(nats.url);
  const end = new AbortController();
  onTestFinished(() => end.abort());
  const live = new LiveEvents(bank.broker, { key: 'anna' }, end.signal);
  const witness = follow(bank.broker, 'anna');
  const sent = Array.from({ length: 1_500 }, (_, amount) => bank.deposit('anna', amount));
  await Promise.all(sent);
  // Who reads may be behind for a moment too, and is told so; the last message comes all the same.
  await vi.waitFor(() => expect(witness.got.at(-1)).toBe(1_500), soon);
  const got: Live[] = [];
  for await (const message of live) {
    got.push(message);
    if (!('missed' in message) && message.sequence === 1_500) break;
  }
  const [{ missed = 0 }, ...read] = got as [Missed, ...StoredMessage[]];
  expect(read.length).toBeLessThanOrEqual(1_000);
  expect(missed + read.length).toBe(1_500);
});

test('a follower ends when its signal aborts, also before it began', async () => {
  const bank = await openBank(nats.url);
  const { end, ended } = follow(bank.broker, 'anna');
  end.abort();
  await ended;
  const messages: Live[] = [];
  for await (const message of new LiveEvents(bank.broker, { key: 'anna' }, AbortSignal.abort())) messages.push(message);
  expect(messages).toEqual([]);
});

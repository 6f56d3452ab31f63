/**
 * What a Node program can publish at most: an order's stored message, with all its headers, again and again under new
 * subjects and ids. Nothing is decided, checked, sealed or answered.
 *
 * node bench/bare-publish.ts ADDRESS STREAM SEQUENCE COUNT IN_FLIGHT
 */
import { randomUUID } from 'node:crypto';
import { connectBroker } from '#kit/broker.ts';
import { Header } from '#kit/event.ts';
import { ensureStream, journalOf, journalStream } from '#kit/streams.ts';

export type BarePublishResult = { perSecond: number; cpuSeconds: number };

const WARM_UP = 1_000;
/** As long as `orders`, so that the subjects are too. */
const SERVICE = 'replay';

const [url = '', stream = '', sequence = '', count = '', inFlight = ''] = process.argv.slice(2);
const broker = await connectBroker({ url, name: 'bare-publish' });
// With the settings of a journal, and the same sync.
await ensureStream(broker.manager, journalStream(journalOf(SERVICE), broker));
const order = await broker.manager.streams.getMessage(stream, { seq: Number(sequence) });
if (order === null) throw new Error(`${stream} has no message ${sequence}`);

const { data, header: headers } = order;

/** Headers are encoded when publish is called, so that one object does for all. */
async function publish(): Promise<void> {
  const key = randomUUID();
  const id = headers.get(Header.id).slice(0, -20) + key.slice(0, 20);
  headers.set(Header.id, id);
  headers.set(Header.subject, key);
  await broker.js.publish(`${SERVICE}.event.0.order.${key}`, data, {
    headers,
    msgID: id,
    expect: { lastSubjectSequence: 0 },
  });
}

async function publishAll(total: number): Promise<void> {
  let left = total;
  const one = async () => {
    while (left-- > 0) await publish();
  };
  await Promise.all(Array.from({ length: Number(inFlight) }, one));
}

await publishAll(WARM_UP);
const [began, cpuBefore] = [performance.now(), process.cpuUsage()];
await publishAll(Number(count));
const seconds = (performance.now() - began) / 1_000;
const { user, system } = process.cpuUsage(cpuBefore);
process.stdout.write(
  JSON.stringify({
    perSecond: Number(count) / seconds,
    cpuSeconds: (user + system) / 1_000_000,
  } satisfies BarePublishResult),
);
await broker.close();

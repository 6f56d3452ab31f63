/**
 * A replica of a service whose one reaction waits for each event as it would for a provider, and says so when it is
 * through. Prints a line when it has joined the others; runs until it is stopped.
 *
 * node bench/waiting-replica.ts BROKER WAIT_MS MAX_AT_WORK
 */
import { setTimeout as delay } from 'node:timers/promises';
import { OrderCompletedSchema } from '#gen/causeway/public/v1/events_pb.js';
import { connectBroker } from '#kit/broker.ts';
import { KeyedConsumer } from '#kit/consumer.ts';
import { EventTypes } from '#kit/event.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { runProcess } from '#kit/process.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import { waitingJournal } from './waiting-events.ts';

const [url = '', waitMs = '', maxAtWork = ''] = process.argv.slice(2);

await runProcess(async (started) => {
  const service = waitingJournal.service;
  const broker = await connectBroker({ url, name: service });
  started.add('connection', broker.close);
  const parts = {
    service,
    broker,
    logger: createLogger(service, 'warn'),
    personalData: { find: async () => undefined },
  };
  const wait = new KeyedConsumer(
    {
      name: 'wait-on-order-completed',
      sources: [{ journal: waitingJournal, aggregate: 'order' }],
      begins: 'with-the-first-event',
      types: new EventTypes([OrderCompletedSchema]),
      handle: async ({ key, partition }) => {
        await delay(Number(waitMs));
        broker.connection.publish(`bench.handled.${partition}.${process.pid}`, key);
      },
    },
    parts,
    { maxAtWork: Number(maxAtWork), maxKeys: Number(maxAtWork) },
  );
  const work = new OwnedWork([wait], [], parts);
  started.add(service, () => work.stop());
  await work.start();
  process.stdout.write('the replica is running\n');
});

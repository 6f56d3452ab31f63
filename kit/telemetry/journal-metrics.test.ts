import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { DEAD_LETTERS } from '#kit/dead-letters.ts';
import { Journal } from '#kit/journal.ts';
import { OwnedWork, type PartitionedWork } from '#kit/owned-work.ts';
import { Parking } from '#kit/parking.ts';
import { journalOf } from '#kit/streams.ts';
import { ownConnection } from '#kit/testing/reacting.ts';
import { type OwnServer, ownNats } from '#kit/testing/servers.ts';
import { observeJournal } from './journal-metrics.ts';
import { type Logger, silent } from './logging.ts';

const MAX_BYTES = 1024 ** 2;
let nats: OwnServer;
let services = 0;

beforeAll(async () => {
  nats = await ownNats();
});

/** A journal, observed, with what is warned of it; there are dead letters, too. */
async function observed() {
  const broker = await ownConnection(nats.url);
  const declaration = journalOf(`bank${++services}`, MAX_BYTES);
  const journal = new Journal(declaration, broker);
  await journal.ensure();
  await Parking.open(broker, 'nobody');
  const warnings: { stream: string; share: number }[] = [];
  const logger = { ...silent, warn: (words: { stream: string; share: number }) => warnings.push(words) } as Logger;
  const fill = (subject: string, share: number) => broker.js.publish(subject, Buffer.alloc(share * MAX_BYTES));
  return {
    broker,
    declaration,
    journal,
    fill: (share: number) => fill(`${declaration.service}.event.4.account.a`, share),
    fillLetters: (share: number) => fill('dead.nobody.0.a', share),
    /** Those about a stream. */
    warnings: (stream: string) => warnings.filter((warning) => warning.stream === stream),
    observe: () => {
      const end = observeJournal(broker, declaration, logger, { alarmIntervalMs: 5 });
      onTestFinished(end);
      return end;
    },
  };
}

test('a journal is warned of from 80 % on, as long as it is observed', async () => {
  const { observe, fill, warnings, journal } = await observed();
  await fill(0.7);
  const end = observe();
  await fill(0.15);
  await expect.poll(() => warnings(journal.stream).length).toBeGreaterThan(1);
  for (const { share } of warnings(journal.stream)) expect(share).toBeGreaterThan(0.85);
  end();
  const { length } = warnings(journal.stream);
  const other = await observed();
  await other.fill(0.85);
  other.observe();
  await expect.poll(() => other.warnings(other.journal.stream).length).toBeGreaterThan(3);
  // What was asked for before the end may have been said after it.
  expect(warnings(journal.stream).length).toBeLessThanOrEqual(length + 1);
});

test('a journal that was given more room is measured by the room that it has', async () => {
  const { broker, observe, fill, warnings, journal } = await observed();
  await fill(0.85);
  await broker.manager.streams.update(journal.stream, { max_bytes: 2 * MAX_BYTES });
  const reader = await readMetrics();
  observe();
  expect(await reader('causeway.stream.bytes.limit', journal.stream)).toBe(2 * MAX_BYTES);
  await fill(0.85);
  await expect.poll(() => warnings(journal.stream).length).toBeGreaterThan(0);
  for (const { share } of warnings(journal.stream)) expect(share).toBeLessThan(0.9);
});

test('what the consumers of a service have parked is measured, whichever journals they follow', async () => {
  const { broker } = await observed();
  const reader = await readMetrics();
  const work = new OwnedWork([idle('teller-thank-on-deposit')], [], { service: 'teller', broker, logger: silent });
  onTestFinished(() => work.stop());
  await work.start();
  const parkedBy = (consumer: string) => reader('causeway.dead_letters', consumer, 'consumer');

  expect(await parkedBy('teller-thank-on-deposit')).toBe(0);

  await broker.js.publish('dead.teller-thank-on-deposit.0.a', 'parked');
  await broker.js.publish('dead.teller-greet-on-opened.0.a', 'parked by a consumer that the service had');
  await broker.js.publish('dead.tellers-thank-on-deposit.0.a', "another service's");

  expect(await parkedBy('teller-thank-on-deposit')).toBe(1);
  expect(await parkedBy('teller-greet-on-opened')).toBe(1);
  expect(await parkedBy('tellers-thank-on-deposit')).toBeUndefined();
});

test('how many partitions a process owns is measured', async () => {
  const { broker } = await observed();
  const reader = await readMetrics();
  const work = new OwnedWork([], [], { service: 'cashier', broker, logger: silent });
  onTestFinished(() => work.stop());
  await work.start();

  expect(await reader('causeway.partitions.owned', 'cashier', 'service')).toBe(8);
});

test('dead letters are warned of like a journal, and measured', async () => {
  const { broker, observe, fillLetters, warnings } = await observed();
  await broker.manager.streams.update(DEAD_LETTERS, { max_bytes: MAX_BYTES });
  const reader = await readMetrics();
  observe();
  await fillLetters(0.85);
  await expect.poll(() => warnings(DEAD_LETTERS).length).toBeGreaterThan(0);
  expect(await reader('causeway.stream.bytes', DEAD_LETTERS)).toBeGreaterThan(0.85 * MAX_BYTES);
  expect(await reader('causeway.stream.bytes.limit', DEAD_LETTERS)).toBe(MAX_BYTES);
});

/** A consumer that has nothing to do. */
function idle(name: string): PartitionedWork {
  return {
    name,
    own: async () => {},
    stop: async () => {},
    health: () => ({ ready: true, reasons: [] }),
    describe: () => ({ name, kind: 'reaction', sources: [], eventTypes: [] }),
  };
}

/** Reads a gauge of a stream, a consumer or a service, as somebody who asks for the metrics does. */
async function readMetrics() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const provider = new MeterProvider({ readers: [reader] });
  metrics.setGlobalMeterProvider(provider);
  onTestFinished(async () => {
    metrics.disable();
    await provider.shutdown();
  });
  return async (name: string, of: string, label: 'stream' | 'consumer' | 'service' = 'stream') => {
    const { resourceMetrics } = await reader.collect();
    const found = resourceMetrics.scopeMetrics
      .flatMap((scope) => scope.metrics)
      .find(({ descriptor }) => descriptor.name === name);
    return found?.dataPoints.find(({ attributes }) => attributes[label] === of)?.value;
  };
}

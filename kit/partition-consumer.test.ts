import { setTimeout as delay } from 'node:timers/promises';
import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { type ReadableSpan, TracerProvider } from '@opentelemetry/sdk-trace';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { startProxy } from '#kit/testing/proxy.ts';
import { type Bank, keysOfPartition, noting, openBank, ownConnection } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import type { Broker } from './broker.ts';
import { TransientError } from './errors.ts';
import { currentSubject } from './telemetry/correlation.ts';

let url: string;

beforeAll(async () => {
  url = (await ownNats()).url;
});

const [a = '', b = '', c = '', d = ''] = keysOfPartition(3, 4);

function durable({ service }: Bank): string {
  return `${service}-thank-on-deposit-3`;
}

/** Takes messages as another process would, and does nothing with them. */
async function swallow(bank: Bank, count: number): Promise<number[]> {
  const consumer = await bank.broker.js.consumers.get(bank.journal.stream, durable(bank));
  const swallowed: number[] = [];
  for await (const { seq } of await consumer.fetch({ max_messages: count, expires: 10_000 })) swallowed.push(seq);
  return swallowed;
}

async function infoOf(bank: Bank) {
  return bank.broker.manager.consumers.info(bank.journal.stream, durable(bank));
}

test('what a puller took and died with comes first to the next owner, and in order', async () => {
  const bank = await openBank(url);
  const first = bank.consumer(noting().handle);
  await first.own([3]);
  await expect.poll(() => first.health().ready).toBe(true);
  await first.stop();
  for (const amount of [1, 2, 3]) await bank.deposit(a, amount);
  expect(await swallow(bank, 3)).toEqual([1, 2, 3]);
  await bank.deposit(a, 4);
  const noted = noting();
  await bank.consumer(noted.handle).own([3]);
  await expect.poll(() => noted.amounts.length).toBe(4);
  expect(noted.of(a)).toEqual([1, 2, 3, 4]);
});

test('nothing begins while it is not sure who owns the partition; where there are others, what is in hand begins again, or is left to them', async () => {
  const bank = await openBank(url);
  const noted = noting();
  const consumer = bank.consumer(noted.handle);
  let unsure: PromiseWithResolvers<boolean> | undefined;
  const tenure = { isSure: () => unsure === undefined, sure: async () => (await unsure?.promise) ?? false };
  const becomesSure = (hadOthers: boolean) => {
    unsure?.resolve(hadOthers);
    unsure = undefined;
  };
  /** Deposits something that is in hand, and waits. */
  const waitsWith = async (amount: number) => {
    unsure = Promise.withResolvers();
    await bank.deposit(a, amount);
    await expect.poll(async () => (await infoOf(bank)).num_ack_pending).toBe(1);
    expect(noted.amounts).not.toContain(amount);
  };
  await consumer.own([3], tenure);
  await bank.deposit(a, 1);
  await expect.poll(() => noted.of(a)).toEqual([1]);

  await waitsWith(2);
  becomesSure(false);
  await expect.poll(() => noted.of(a)).toEqual([1, 2]);
  expect((await infoOf(bank)).delivered.consumer_seq).toBe(2);

  await waitsWith(3);
  becomesSure(true);
  await expect.poll(() => noted.of(a)).toEqual([1, 2, 3]);
  expect((await infoOf(bank)).delivered.consumer_seq).toBe(1);

  await waitsWith(4);
  const givenUp = consumer.own([], tenure);
  becomesSure(true);
  await givenUp;
  expect(noted.of(a)).toEqual([1, 2, 3]);
  const next = noting();
  await bank.consumer(next.handle).own([3]);
  await expect.poll(() => next.of(a)).toEqual([4]);
});

test('a reaction that begins now hears of nothing that was before, and of everything after, whoever owns it then', async () => {
  const bank = await openBank(url);
  for (const amount of [1, 2, 3]) await bank.deposit(a, amount);
  const noted = noting();
  const first = bank.consumer(noted.handle, { begins: 'now' });
  await first.own([3]);
  await expect.poll(() => first.health().ready).toBe(true);
  await first.stop();
  await bank.deposit(a, 4);
  const second = bank.consumer(noted.handle, { begins: 'now' });
  await second.own([3]);
  await bank.deposit(a, 5);
  await expect.poll(() => noted.of(a)).toEqual([4, 5]);
});

test('when another puller takes a message the owner begins again at once, and handles all in order', async () => {
  const bank = await openBank(url);
  const noted = noting();
  const consumer = bank.consumer(noted.handle);
  await consumer.own([3]);
  await expect.poll(() => consumer.health().ready).toBe(true);
  const swallowing = swallow(bank, 1);
  await expect.poll(async () => (await infoOf(bank)).num_waiting).toBe(2);
  for (let amount = 1; amount <= 10; amount++) await bank.deposit(a, amount);
  expect((await swallowing).length).toBe(1);
  await expect.poll(() => noted.amounts.length).toBe(10);
  expect(noted.of(a)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('a message that a leaving owner was given and dropped is missed soon, although none comes after it', async () => {
  const bank = await openBank(url);
  const noted = noting();
  const consumer = bank.consumer(noted.handle);
  await consumer.own([3]);
  await expect.poll(() => consumer.health().ready).toBe(true);
  // The owner's request is the first in line, so it gets the first of two.
  const swallowing = swallow(bank, 1);
  await expect.poll(async () => (await infoOf(bank)).num_waiting).toBe(2);
  await bank.deposit(a, 1);
  await bank.deposit(a, 2);
  expect(await swallowing).toEqual([2]);
  await expect.poll(() => noted.of(a)).toEqual([1, 2]);
});

test('what was handled above the ack floor is acknowledged, not handled, when it comes again', async () => {
  const bank = await openBank(url);
  let busy = true;
  const noted = noting(({ key }) => {
    if (key === a && busy) throw new TransientError('busy');
  });
  await bank.consumer(noted.handle, { maxAttempts: 10_000 }).own([3]);
  await bank.deposit(a, 1);
  for (let amount = 2; amount <= 20; amount++) await bank.deposit(b, amount);
  await expect.poll(() => noted.of(b).length).toBe(19);
  let isSwallowed = false;
  const swallowing = swallow(bank, 1).finally(() => {
    isSwallowed = true;
  });
  let last = 20;
  while (!isSwallowed) await bank.deposit(c, ++last);
  await bank.deposit(c, ++last);
  expect((await swallowing).length).toBe(1);
  await expect.poll(() => noted.of(c).length).toBe(last - 20);
  busy = false;
  await expect.poll(async () => (await infoOf(bank)).ack_floor.stream_seq).toBe(last);
  expect(noted.of(b).length).toBe(19);
});

test('a connection that breaks does not start the count of attempts again', async () => {
  const nats = await ownNats();
  const bank = await openBank(nats.url);
  const attempts: number[] = [];
  const { handle } = noting(async (_, { attempt }) => {
    attempts.push(attempt);
    if (attempt === 2) await nats.restart();
    throw new TransientError('busy');
  });
  const sequence = await bank.deposit(a, 1);
  await bank.consumer(handle, { maxAttempts: 4 }).own([3]);
  await expect
    .poll(() => bank.parked(a).catch(() => []), { timeout: 20_000 })
    .toEqual([{ sequence, reason: 'ATTEMPTS_EXHAUSTED', attempts: 4 }]);
  expect(attempts).toEqual([1, 2, 3, 4]);
});

test('a message that was lost with the connection on which it was sent comes at once', async () => {
  const proxy = await startProxy(url);
  onTestFinished(() => proxy.close());
  const bank = await openBank(url);
  const noted = noting();
  const consumer = bank.consumer(noted.handle, { broker: await ownConnection(proxy.url) });
  await consumer.own([3]);
  await expect.poll(() => consumer.health().ready).toBe(true);
  proxy.hold('answers');
  await bank.deposit(a, 1);
  await expect.poll(async () => (await infoOf(bank)).num_ack_pending).toBe(1);
  proxy.cut();
  proxy.release('answers');
  await expect.poll(() => noted.amounts, { timeout: 10_000 }).toEqual([1]);
});

test('messages in hand, also those that wait behind another, are not handed out again while their owner lives', async () => {
  const bank = await openBank(url);
  const noted = noting(({ data: { amount } }) => (amount === 1n ? delay(2_500) : undefined));
  await bank.deposit(a, 1);
  await bank.deposit(a, 2);
  await bank.consumer(noted.handle, { ackWaitMs: 1_000 }).own([3]);
  await expect.poll(() => noted.amounts, { timeout: 10_000 }).toEqual([1, 2]);
  expect((await infoOf(bank)).delivered.consumer_seq).toBe(2);
});

test('a broker that dies and comes back is waited for; nothing is left out, parked, or handled out of order', async () => {
  const nats = await ownNats({ syncAlways: true });
  const bank = await openBank(nats.url);
  const noted = noting(() => delay(1));
  const consumer = bank.consumer(noted.handle, { maxAttempts: 1 });
  await consumer.own([3]);
  for (let amount = 1; amount <= 200; amount++) await bank.deposit(a, amount);
  await expect.poll(() => noted.amounts.length).toBeGreaterThan(20);
  await nats.kill('SIGKILL');
  await nats.restart();
  await expect.poll(() => bank.broker.connected(), { timeout: 10_000 }).toBe(true);
  await bank.deposit(a, 201);
  await expect.poll(() => noted.of(a).at(-1), { timeout: 20_000 }).toBe(201);
  expect(noted.of(a)).toEqual(Array.from({ length: 201 }, (_, index) => index + 1));
  expect(await bank.parked(a)).toEqual([]);
  expect(consumer.health().ready).toBe(true);
});

test('a durable that somebody deletes is made again', async () => {
  const bank = await openBank(url);
  const noted = noting();
  const consumer = bank.consumer(noted.handle);
  await consumer.own([3]);
  await bank.deposit(a, 1);
  await expect.poll(() => noted.amounts).toEqual([1]);
  await bank.broker.manager.consumers.delete(bank.journal.stream, durable(bank));
  await bank.deposit(a, 2);
  await expect.poll(() => noted.amounts).toEqual([1, 2]);
});

test('a consumer whose messages wait and do not come says so, until they come', async () => {
  const bank = await openBank(url);
  const noted = noting();
  const consumer = bank.consumer(noted.handle, { watchMs: 50 });
  await consumer.own([3]);
  await expect.poll(() => consumer.health().ready).toBe(true);
  await bank.broker.manager.consumers.pause(bank.journal.stream, durable(bank), new Date(Date.now() + 3_600_000));
  await bank.deposit(a, 1);
  await expect.poll(() => consumer.health().reasons.join()).toMatch(/no progress|none comes/);
  await bank.broker.manager.consumers.resume(bank.journal.stream, durable(bank));
  await expect.poll(() => noted.amounts).toEqual([1]);
  await expect.poll(() => consumer.health()).toEqual({ ready: true, reasons: [] });
});

/** A connection whose first pull goes astray: it is sent for another consumer, and nothing answers it. */
async function losingItsFirstPull(bank: Bank): Promise<Broker> {
  const broker = await ownConnection(url);
  await bank.broker.manager.consumers.add(bank.journal.stream, { durable_name: 'elsewhere', filter_subject: 'none' });
  let pulls = 0;
  const consumers = new Proxy(broker.js.consumers, {
    get: (real, name) =>
      name === 'get'
        ? (stream: string, durable: string) => real.get(stream, pulls++ === 0 ? 'elsewhere' : durable)
        : Reflect.get(real, name, real),
  });
  const js = new Proxy(broker.js, {
    get: (real, name) => (name === 'consumers' ? consumers : Reflect.get(real, name, real)),
  });
  return { ...broker, js };
}

test('a pull that the broker does not answer although messages wait is made again', async () => {
  const bank = await openBank(url);
  const noted = noting();
  const consumer = bank.consumer(noted.handle, { watchMs: 50, broker: await losingItsFirstPull(bank) });
  await consumer.own([3]);
  await expect.poll(() => consumer.health().ready).toBe(true);
  await bank.deposit(a, 1);
  await expect.poll(() => noted.amounts).toEqual([1]);
});

test('a handler that does not end when its time is over is seen in health, while other keys go on', async () => {
  const bank = await openBank(url);
  const gate = Promise.withResolvers<void>();
  const noted = noting(({ key }) => (key === a ? gate.promise : undefined));
  const consumer = bank.consumer(noted.handle, { watchMs: 50, attemptTimeoutMs: 50 });
  await consumer.own([3]);
  await bank.deposit(a, 1);
  await expect.poll(() => consumer.health().reasons.join()).toContain('a handler has not ended');
  await bank.deposit(d, 2);
  await expect.poll(() => noted.of(d)).toEqual([2]);
  expect(consumer.health().ready).toBe(false);
  gate.resolve();
  await expect.poll(() => consumer.health().ready).toBe(true);
});

test('a handler that takes as long as it may, and a wait for the next attempt, are no lack of progress', async () => {
  const bank = await openBank(url);
  const gate = Promise.withResolvers<void>();
  const noted = noting(async (_, { attempt }) => {
    if (attempt === 1) await gate.promise;
    if (attempt < 4) throw new TransientError('busy');
  });
  // No random: full jitter may wait for nothing.
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.9);
  onTestFinished(() => random.mockRestore());
  const backoff = { minMs: 150, maxMs: 150 };
  const consumer = bank.consumer(noted.handle, { watchMs: 20, attemptTimeoutMs: 10_000, backoff });
  await consumer.own([3]);
  await expect.poll(() => consumer.health().ready).toBe(true);
  await bank.deposit(a, 1);
  await expect.poll(() => noted.amounts.length).toBe(1);
  const seen = new Set<string>();
  const since = performance.now();
  await expect
    .poll(
      () => {
        for (const reason of consumer.health().reasons) seen.add(reason);
        if (performance.now() - since > 200) gate.resolve();
        return noted.amounts.length;
      },
      { interval: 5 },
    )
    .toBe(4);
  expect([...seen]).toEqual([]);
});

test('handling is a span that goes on with the trace of who published, and carries the correlation id', async () => {
  const spans: ReadableSpan[] = [];
  const processor = {
    onStart() {},
    onEnd: (span: ReadableSpan) => void spans.push(span),
    forceFlush: async () => {},
    shutdown: async () => {},
  };
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [processor] }));
  const bank = await openBank(url);
  const within: unknown[] = [];
  const { handle } = noting(() =>
    within.push(currentSubject()?.correlationId, trace.getActiveSpan()?.spanContext().spanId),
  );
  await bank.consumer(handle).own([3]);
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await bank.deposit(a, 1, { traceparent });
  const name = `process ${bank.service}-thank-on-deposit`;
  await expect.poll(() => spans.filter((span) => span.name === name).length).toBe(1);
  const span = spans.find((each) => each.name === name);
  expect(span?.kind).toBe(SpanKind.CONSUMER);
  expect(span?.spanContext().traceId).toBe('0af7651916cd43dd8448eb211c80319c');
  expect(span?.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
  expect(span?.attributes).toMatchObject({
    'messaging.system': 'nats',
    'messaging.destination.name': bank.journal.stream,
  });
  expect(within).toEqual([`correlation of ${a}`, span?.spanContext().spanId]);
});

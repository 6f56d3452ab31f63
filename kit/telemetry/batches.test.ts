import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventHeaders, type StoredMessage } from '#kit/event.ts';
import { observedBatch } from './batches.ts';
import { currentSubject } from './correlation.ts';
import { linksTo } from './tracing.ts';

const exporter = new InMemorySpanExporter();

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
});

afterAll(() => {
  context.disable();
  propagation.disable();
  trace.disable();
});

beforeEach(() => exporter.reset());

/** A message that was published in a trace of its own. */
function message(number: number, flags: '00' | '01' = '01'): StoredMessage {
  const hexadecimal = number.toString(16).padStart(16, 'a');
  const headers = eventHeaders({
    id: `event-${number}`,
    type: 'test',
    source: 'test',
    key: 'a',
    time: new Date(0),
    version: 1,
    correlationId: `correlation ${number}`,
    causationId: '',
    actor: 'ada',
    traceparent: `00-${hexadecimal}${hexadecimal}-${hexadecimal}-${flags}`,
    tracestate: '',
  });
  return { subject: 'test.event.4.thing.a', sequence: number, stream: 'TEST', data: new Uint8Array(), headers };
}

function messages(count: number, flags: '00' | '01' = '01'): StoredMessage[] {
  return Array.from({ length: count }, (_, index) => message(index + 1, flags));
}

const nothing = async () => {};

test('one message is handled as a part of the trace that published it, under its correlation id', async () => {
  let seen: string | undefined;
  await observedBatch('bank-accounts', [message(1)], async () => {
    seen = currentSubject()?.correlationId;
  });

  expect(seen).toBe('correlation 1');
  expect(exporter.getFinishedSpans()).toMatchObject([
    { name: 'process bank-accounts', parentSpanContext: { spanId: 'aaaaaaaaaaaaaaa1', isRemote: true } },
  ]);
});

test('several messages are handled in a trace of its own, which is linked with each of theirs', async () => {
  await observedBatch('bank-accounts', messages(3), nothing);

  const [span] = exporter.getFinishedSpans();
  expect(span?.parentSpanContext).toBeUndefined();
  const linked = span?.links.map((link) => link.context.spanId);
  expect(linked).toEqual(['aaaaaaaaaaaaaaa1', 'aaaaaaaaaaaaaaa2', 'aaaaaaaaaaaaaaa3']);
});

test('a batch is linked with no more than 128 messages, and nothing is made of the others', () => {
  expect(linksTo(messages(200))).toHaveLength(128);
});

test.each([1, 3])('%i messages of traces that are not recorded make no span', async (count) => {
  await observedBatch('bank-accounts', messages(count, '00'), nothing);

  expect(exporter.getFinishedSpans()).toEqual([]);
});

test('what a batch failed with is told to who asked, and is on its span', async () => {
  const failing = observedBatch('bank-accounts', messages(2), () => Promise.reject(new Error('no more ink')));

  await expect(failing).rejects.toThrow('no more ink');
  expect(exporter.getFinishedSpans()[0]?.status).toMatchObject({ message: 'no more ink' });
});

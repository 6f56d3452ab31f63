import { DiagnosticSeverity, Parser } from '@asyncapi/parser';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { beforeAll, expect, test } from 'vitest';
import type { EventContract } from '#gen/causeway/operations/v1/log_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { type TestPlatform, testPlatform } from './platform.ts';

let platform: TestPlatform;
let events: EventContract[];

beforeAll(async () => {
  platform = await testPlatform();
  ({ events } = await operations(
    createConnectTransport({ baseUrl: platform.http, httpVersion: '1.1' }),
  ).getEventCatalogue({}));
});

const operations = (transport: ReturnType<typeof createConnectTransport>) => createClient(OperationsService, transport);

test('the catalogue is told without a token on every protocol', async () => {
  const grpc = createGrpcTransport({ baseUrl: `http://${platform.grpc}` });
  const grpcWeb = createGrpcWebTransport({ baseUrl: platform.http, httpVersion: '1.1' });

  for (const transport of [grpc, grpcWeb]) {
    expect((await operations(transport).getEventCatalogue({})).events).toHaveLength(events.length);
  }
  await expect(operations(grpcWeb).listServices({})).rejects.toThrow('a token is needed');
});

test('every event has a publisher and a subject, and no consumer twice', () => {
  expect(events.filter(({ publisher, subject }) => publisher === '' || subject === '').map(({ type }) => type)).toEqual(
    [],
  );
  for (const { consumers } of events) {
    expect(new Set(consumers.map(({ name }) => name)).size).toBe(consumers.length);
  }
});

test('who says and who hears an event is what the services are made of', () => {
  const authorized = events.find(({ type }) => type === 'causeway.payments.v1.PaymentAuthorized');

  expect(authorized).toMatchObject({
    publisher: 'payments',
    subject: 'payments.event.*.payment.*',
    stream: 'PAYMENTS',
  });
  expect(authorized?.consumers.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['orders-confirm-on-payment-authorized', expect.stringMatching(/^orders-history/)]),
  );
});

test('/asyncapi.json is AsyncAPI 3 by its official parser, with every event in a channel', async () => {
  const answer = await fetch(`${platform.http}/asyncapi.json`);
  const { document, diagnostics } = await new Parser().parse(await answer.text());

  const bad = diagnostics.filter(({ severity }) => severity <= DiagnosticSeverity.Warning);
  expect(bad.map(({ code, message, path }) => `${code}: ${message} (${path.join('.')})`)).toEqual([]);
  expect(document?.version()).toBe('3.0.0');
  const told =
    document
      ?.channels()
      .all()
      .flatMap((channel) => channel.messages().all()) ?? [];
  expect(told.map((message) => message.name()).sort()).toEqual(events.map(({ type }) => type).sort());
  const placed = document
    ?.channels()
    .all()
    .find((channel) => channel.id() === 'ORDERS.order');
  expect(placed?.address()).toBe('orders.event.{partition}.order.{key}');
  const sends = document
    ?.operations()
    .filterBySend()
    .map((operation) => operation.id());
  expect(sends).toContain('orders-sends-ORDERS.order');
});

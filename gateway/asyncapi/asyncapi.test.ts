import { create } from '@bufbuild/protobuf';
import { expect, onTestFinished, test } from 'vitest';
import {
  EventContractSchema,
  type GetEventCatalogueResponse,
  GetEventCatalogueResponseSchema,
} from '#gen/causeway/operations/v1/log_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { UnavailableError } from '#kit/errors.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { startHttpServer } from '#kit/rpc/http-server.ts';
import { Identity } from '#kit/rpc/identity.ts';
import { unlimited } from '#kit/rpc/limit.ts';
import { Pipeline } from '#kit/rpc/pipeline.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { AsyncApi } from './asyncapi.ts';

/** Address of the document of a gateway whose operations answer like this. */
async function documentOf(answer: () => Promise<GetEventCatalogueResponse>): Promise<string> {
  const operations = door(OperationsService, { getEventCatalogue: answer } as never);
  return servedBy([operations]);
}

async function servedBy(doors: Door[]): Promise<string> {
  const asyncApi = new AsyncApi(doors, silent);
  const pipeline = new Pipeline({ identity: new Identity({}), limit: unlimited, logger: silent });
  const server = await startHttpServer([], pipeline, {
    host: '127.0.0.1',
    port: 0,
    maxRequestBytes: 1_000,
    health: async () => ({ ready: true, reasons: [] }),
    serveMetrics: () => {},
    serveOther: (request, response) => asyncApi.serve(request, response),
    logger: silent,
  });
  onTestFinished(() => server.stop());
  return `http://127.0.0.1:${server.port}/asyncapi.json`;
}

const catalogue = create(GetEventCatalogueResponseSchema, {
  events: [
    create(EventContractSchema, {
      type: 'com.example.newer.v1.ThingHappened',
      version: 'v1',
      kind: 1,
      stream: 'NEWER',
      publisher: 'newer',
      subject: 'newer.event.*.thing.*',
      example: '{}',
    }),
  ],
});

test('it is made once for all who ask within seconds, and not sent to who has it', async () => {
  let asked = 0;
  const { promise: mayAnswer, resolve: answerNow } = Promise.withResolvers<void>();
  const address = await documentOf(async () => {
    asked++;
    await mayAnswer;
    return catalogue;
  });

  const first = fetch(address);
  await expect.poll(() => asked).toBe(1);
  const others = Array.from({ length: 5 }, () => fetch(address));
  // What is asked afterwards on a connection of its own is answered while the document is still waited for.
  await Promise.all(Array.from({ length: 5 }, () => fetch(new URL('/healthz', address))));
  answerNow();
  const answers = await Promise.all([first, ...others]);

  expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200));
  expect((await fetch(address)).status).toBe(200);
  expect(asked).toBe(1);
  const etag = answers[0]?.headers.get('etag') ?? '';
  expect((await fetch(address, { headers: { 'if-none-match': etag } })).status).toBe(304);
  const head = await fetch(address, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
});

test('an event of a contract that the gateway has not is there, and may say anything', async () => {
  const document = await (await fetch(await documentOf(async () => catalogue))).json();

  expect(document.channels['NEWER.thing']).toMatchObject({ address: 'newer.event.{partition}.thing.{key}' });
  expect(document.components.messages['com.example.newer.v1.ThingHappened'].payload).toEqual({ type: 'object' });
});

test('where the catalogue can not be had that is said, as JSON, and it is asked for again with the next request', async () => {
  let isAway = true;
  const address = await documentOf(async () => {
    if (isAway) throw new UnavailableError('the broker is away');
    return catalogue;
  });

  const refused = await fetch(address);
  isAway = false;

  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({ code: 'unavailable' });
  expect((await fetch(address)).status).toBe(200);
});

test('nor can it be had where there is no operations behind the gateway', async () => {
  expect((await fetch(await servedBy([]))).status).toBe(503);
});

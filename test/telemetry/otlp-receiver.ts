import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { atTheEnd } from '#kit/testing/servers.ts';
import { bytes, manyBytes, text, type WireFields, wireFields } from '../wire-fields.ts';

/** A span as it came over the wire. Ids are hexadecimal. */
export type ReceivedSpan = {
  traceId: string;
  spanId: string;
  /** Empty for the first of a trace. */
  parentSpanId: string;
  name: string;
  kind: SpanKind;
  attributes: Record<string, string>;
  /** Ids of the spans that it is linked with. */
  links: string[];
  failed: boolean;
};

const kinds = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'] as const;
type SpanKind = (typeof kinds)[number];

const STATUS_ERROR = 2n;

/** Takes spans as a collector does: OTLP over HTTP, protobuf. Stopped when the test, or its file, ends. */
export async function startOtlpReceiver(): Promise<{ url: string; spans: ReceivedSpan[] }> {
  const spans: ReceivedSpan[] = [];
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    if (request.url === '/v1/traces') spans.push(...spansIn(body));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  atTheEnd(async () => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Field numbers are those of opentelemetry-proto, trace/v1/trace.proto: resources have scopes, scopes have spans. */
function spansIn(request: Uint8Array): ReceivedSpan[] {
  return manyBytes(wireFields(request), 1)
    .flatMap((resource) => manyBytes(wireFields(resource), 2))
    .flatMap((scope) => manyBytes(wireFields(scope), 2))
    .map((span) => receivedSpan(wireFields(span)));
}

function receivedSpan(span: WireFields): ReceivedSpan {
  return {
    traceId: id(span, 1),
    spanId: id(span, 2),
    parentSpanId: id(span, 4),
    name: text(span, 5),
    kind: kinds[Number(span.get(6)?.[0] ?? 0n)] ?? 'UNSPECIFIED',
    attributes: Object.fromEntries(manyBytes(span, 9).map((attribute) => keyValue(wireFields(attribute)))),
    links: manyBytes(span, 13).map((link) => id(wireFields(link), 2)),
    failed: wireFields(bytes(span, 15)).get(3)?.[0] === STATUS_ERROR,
  };
}

function id(fields: WireFields, number: number): string {
  return Buffer.from(bytes(fields, number)).toString('hex');
}

/** Strings and whole numbers, which is all that the platform sets. */
function keyValue(attribute: WireFields): [string, string] {
  const value = wireFields(bytes(attribute, 2));
  return [text(attribute, 1), value.has(1) ? text(value, 1) : String(value.get(3)?.[0] ?? '')];
}

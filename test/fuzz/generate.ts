import { gzipSync } from 'node:zlib';
import {
  type DescMessage,
  type DescMethod,
  type DescService,
  type Message,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import { eventRegistry } from '#gen/events.js';
import { services } from '../../gateway/services.ts';
import { oneOf, type Random, randomFrom } from '../chaos/random.ts';
import { framed, misframed, zipBomb } from './framing.ts';
import type { FuzzCase } from './fuzz-case.ts';
import { mutatedHeaders } from './header-mutations.ts';
import { httpOddity } from './http-oddities.ts';
import { mutatedJson } from './json-mutations.ts';
import { makeHostile, validMessage } from './messages.ts';
import { mutatedWire } from './wire-mutations.ts';

const methods: readonly DescMethod[] = Object.values(services)
  .flatMap(({ contracts }): readonly DescService[] => contracts)
  .flatMap((contract) => contract.methods);

/** What the libraries serve at the gRPC door by themselves. */
const LIBRARY_PATHS = [
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
  '/grpc.health.v1.Health/List',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  '/causeway.orders.v1.OrderService/NoSuchMethod',
  '/no.such.Service/Method',
  '/',
  '/causeway.orders.v1.OrderService',
  '/__proto__/toString',
];

/** The case of this number: the same seed makes the same. */
export function caseOf(seed: number, index: number): FuzzCase {
  const random = randomFrom(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35));
  // What is near a seed of this generator is near in its first number too.
  for (let skipped = 0; skipped < 4; skipped++) random();
  const door = random();
  if (door < 0.06) return httpOddity(random);
  if (door < 0.1) return ofLibrary(random);
  const chosen = oneOf(random, methods);
  // Each erasure is told with all that were before it: some are enough.
  const method = chosen.name === 'EraseCustomer' && random() > 0.05 ? oneOf(random, methods) : chosen;
  if (door < 0.5) return overGrpc(method, random);
  return overHttp(method, random);
}

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

function authorized(method: DescMethod, random: Random): Record<string, string> {
  const chance = random();
  if (chance < 0.05) return {};
  const isForOperators = method.parent.name === 'OperationsService' || chance < 0.3;
  return { authorization: `Bearer ${isForOperators && chance < 0.9 ? '{operator}' : '{customer}'}` };
}

function goingAway(random: Random): { cancelAfterMs?: number } {
  return random() < 0.04 ? { cancelAfterMs: Math.floor(random() * 20) } : {};
}

/** A request as it should be, or with values that nobody means. */
function request(type: DescMessage, random: Random): Message {
  const message = validMessage(type, random);
  if (random() < 0.6) makeHostile(message, type, random);
  return message;
}

function overGrpc(method: DescMethod, random: Random): FuzzCase {
  const message = toBinary(method.input, request(method.input, random));
  const kind = random();
  const bytes = kind < 0.5 ? mutatedWire(message, random) : message;
  const headers = { 'content-type': 'application/grpc', te: 'trailers', ...authorized(method, random) };
  return {
    name: method.name,
    by: 'http2',
    path: pathOf(method),
    headers: random() < 0.3 ? mutatedHeaders(headers, random) : headers,
    body: random() < 0.25 ? misframed(bytes, random) : framed(bytes),
    ...goingAway(random),
  };
}

function ofLibrary(random: Random): FuzzCase {
  const path = oneOf(random, LIBRARY_PATHS);
  const message = oneOf(random, [
    Buffer.alloc(0),
    Buffer.from('\x0a\x06orders'),
    Buffer.from('\x1a\x01x'),
    Buffer.from('\x3a\x00'),
  ]);
  const bytes = random() < 0.6 ? mutatedWire(message, random) : message;
  const headers = { 'content-type': 'application/grpc', te: 'trailers' };
  return {
    name: path,
    by: 'http2',
    path,
    headers: random() < 0.3 ? mutatedHeaders(headers, random) : headers,
    body: random() < 0.3 ? misframed(bytes, random) : framed(bytes),
    ...goingAway(random),
  };
}

function overHttp(method: DescMethod, random: Random): FuzzCase {
  const forms =
    method.methodKind === 'server_streaming'
      ? [envelopes, envelopes, grpcWeb]
      : [unary, unary, unary, get, grpcWeb, envelopes];
  const { method: verb = 'POST', path = pathOf(method), headers, body } = oneOf(random, forms)(method, random);
  const all = { ...headers, ...authorized(method, random) };
  return {
    name: method.name,
    by: 'http1',
    method: random() < 0.02 ? oneOf(random, ['PUT', 'GET', 'DELETE', 'OPTIONS', 'HEAD']) : verb,
    path,
    headers: random() < 0.3 ? mutatedHeaders(all, random) : all,
    body,
    ...goingAway(random),
  };
}

type Form = { method?: string; path?: string; headers: Record<string, string>; body: Buffer };

function unary(method: DescMethod, random: Random): Form {
  const isJson = random() < 0.75;
  const bytes = encoded(method, isJson, random);
  const type = isJson ? 'application/json' : 'application/proto';
  const packing = random();
  if (packing > 0.06) return { headers: { 'content-type': type }, body: bytes };
  const packed = packing < 0.01 ? zipBomb() : gzipSync(bytes);
  const body = packing < 0.03 ? packed.subarray(0, Math.floor(random() * packed.length)) : packed;
  return { headers: { 'content-type': type, 'content-encoding': 'gzip' }, body };
}

function get(method: DescMethod, random: Random): Form {
  const isJson = random() < 0.6;
  const bytes = encoded(method, isJson, random).subarray(0, 9_000);
  const isBase64 = !isJson || random() < 0.3;
  const message = isBase64
    ? bytes.toString(random() < 0.5 ? 'base64url' : 'base64')
    : encodeURIComponent(bytes.toString().toWellFormed());
  const parameters = [
    'connect=v1',
    `encoding=${isJson ? 'json' : 'proto'}`,
    `message=${message}`,
    ...(isBase64 ? ['base64=1'] : []),
    ...(random() < 0.3
      ? [
          oneOf(random, [
            'compression=gzip',
            'compression=x',
            'connect=v9',
            'message=%ff',
            'encoding=x',
            'base64=2',
            'a[b]=c',
            '%',
          ]),
        ]
      : []),
  ].filter(() => random() < 0.95);
  return { method: 'GET', path: `${pathOf(method)}?${parameters.join('&')}`, headers: {}, body: Buffer.alloc(0) };
}

function envelopes(method: DescMethod, random: Random): Form {
  const isJson = random() < 0.7;
  const bytes = encoded(method, isJson, random);
  return {
    headers: { 'content-type': `application/connect+${isJson ? 'json' : 'proto'}` },
    body: random() < 0.4 ? misframed(bytes, random) : framed(bytes),
  };
}

function grpcWeb(method: DescMethod, random: Random): Form {
  const isJson = random() < 0.3;
  const bytes = encoded(method, isJson, random);
  const isText = random() < 0.1;
  const body = random() < 0.4 ? misframed(bytes, random) : framed(bytes);
  const type = `application/grpc-web${isText ? '-text' : ''}${isJson ? '+json' : oneOf(random, ['+proto', ''])}`;
  return {
    headers: { 'content-type': type, 'x-grpc-web': '1' },
    body: isText ? Buffer.from(body.toString('base64')) : body,
  };
}

function encoded(method: DescMethod, isJson: boolean, random: Random): Buffer {
  const message = request(method.input, random);
  if (!isJson) {
    const bytes = Buffer.from(toBinary(method.input, message));
    return random() < 0.5 ? mutatedWire(bytes, random) : bytes;
  }
  const json = jsonOf(method.input, message, random);
  return random() < 0.6 ? mutatedJson(json, random) : Buffer.from(json);
}

/** Of what can't be said in JSON: of a request that can. */
function jsonOf(type: DescMessage, message: Message, random: Random): string {
  try {
    return JSON.stringify(toJson(type, message, { registry: eventRegistry }));
  } catch {
    return JSON.stringify(toJson(type, validMessage(type, random), { registry: eventRegistry }));
  }
}

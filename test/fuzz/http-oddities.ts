import { oneOf, type Random } from '../chaos/random.ts';
import type { FuzzCase } from './fuzz-case.ts';

const PATHS = [
  '/%2e%2e/%2e%2e/etc/passwd',
  '/assets/../../../etc/passwd',
  '/assets/..%2f..%2fetc%2fpasswd',
  '/%00',
  '/\x00',
  '/%',
  '/%zz',
  '/%c0%ae%c0%ae/',
  '//evil.example/',
  '/\\..\\..\\',
  '/?',
  '/#token=x',
  `/${'a'.repeat(9_000)}`,
  `/?${'a=b&'.repeat(3_000)}`,
  '/metrics?x=%ff',
  '/asyncapi.json/',
  '/readyz/../healthz',
  '/causeway.orders.v1.OrderService/',
  '/causeway.orders.v1.OrderService/NoSuch',
  '/causeway.orders.v1.OrderService/__proto__',
  '/causeway.orders.v1.OrderService/GetOrder/',
  '/causeway.orders.v1.OrderService/getorder',
  '/causeway.orders.v1.OrderService%2fGetOrder',
  '/__proto__/constructor',
  '*',
  'http://evil.example/x',
  '',
  'x',
];
const METHODS = [
  'GET',
  'POST',
  'HEAD',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PROPFIND',
  'get',
  'X',
];
const VERSIONS = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/9.9', 'X'];
const JSON_HEAD = 'Host: x\r\nContent-Type: application/json\r\n';
const CALL = 'POST /causeway.inventory.v1.InventoryService/ListItems HTTP/1.1';

const REQUESTS: readonly string[] = [
  `${CALL}\r\n${JSON_HEAD}Content-Length: 5\r\n\r\n{}`,
  `${CALL}\r\n${JSON_HEAD}Content-Length: -1\r\n\r\n{}`,
  `${CALL}\r\n${JSON_HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
  `${CALL}\r\n${JSON_HEAD}Content-Length: 99999999999999\r\n\r\n{}`,
  `${CALL}\r\n${JSON_HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  `${CALL}\r\n${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
  `${CALL}\r\n${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}`,
  `${CALL}\r\n${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
  `${CALL}\r\n${JSON_HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  `${CALL}\r\n${JSON_HEAD}Transfer-Encoding: xchunked\r\n\r\n{}`,
  `${CALL}\r\n${JSON_HEAD}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}`,
  `${CALL}\r\n${JSON_HEAD}Expect: nonsense\r\nContent-Length: 2\r\n\r\n{}`,
  `${CALL}\r\n${JSON_HEAD}Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 2\r\n\r\n{}`,
  `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`,
  `${CALL}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
  `${CALL}\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n`,
  `${CALL}\n${JSON_HEAD.replaceAll('\r', '')}\n{}`,
  `${CALL}\r\n Folded: x\r\n\r\n`,
  `${CALL}\r\nBad Header: x\r\n\r\n`,
  `${CALL}\r\nX: a\x00b\r\n\r\n`,
  `${CALL}\r\nX: ${'a'.repeat(90_000)}\r\n\r\n`,
  `${CALL}\r\n${'X-A: b\r\n'.repeat(3_000)}\r\n`,
  `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(50),
  `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nPOST /`,
  `GET /readyz\r\n\r\n`,
  '\r\n\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'HELP\r\n',
];

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

function frame(type: number, flags: number, stream: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));

/** Frames of HTTP/2 that may come in no such place, or not in this form. */
function http2Frames(random: Random): Buffer {
  const frames: readonly Buffer[] = [
    frame(0, 1, 1, Buffer.from('data before headers')),
    frame(1, 4, 0, Buffer.alloc(3)),
    frame(1, 4, 2, Buffer.alloc(3)),
    frame(1, 5, 1, Buffer.alloc(40, 0xff)),
    frame(1, 5, 1, Buffer.of(0x82, 0x86, 0x84)),
    frame(1, 0, 1, Buffer.of(0x82)),
    frame(9, 0, 1, Buffer.alloc(100)),
    frame(3, 0, 1, Buffer.alloc(4)),
    frame(3, 0, 0, Buffer.alloc(4)),
    frame(4, 0, 0, Buffer.alloc(5)),
    frame(4, 0, 0, Buffer.of(0, 4, 0xff, 0xff, 0xff, 0xff)),
    frame(4, 0, 0, Buffer.alloc(6 * 2_000, 1)),
    frame(5, 4, 1, Buffer.alloc(8)),
    frame(6, 0, 0, Buffer.alloc(8)),
    frame(6, 0, 0, Buffer.alloc(7)),
    frame(7, 0, 0, Buffer.alloc(8)),
    frame(8, 0, 0, Buffer.alloc(4)),
    frame(8, 0, 0, Buffer.of(0x7f, 0xff, 0xff, 0xff)),
    frame(99, 0xff, 7, Buffer.alloc(10)),
    frame(0, 0, 1, Buffer.alloc(10), 2 ** 24 - 1),
  ];
  const begin = random() < 0.8 ? Buffer.concat([PREFACE, SETTINGS]) : Buffer.alloc(0);
  return Buffer.concat([begin, ...Array.from({ length: 1 + Math.floor(random() * 4) }, () => oneOf(random, frames))]);
}

/** What no client of HTTP sends. */
export function httpOddity(random: Random): FuzzCase {
  const door = random() < 0.6 ? 'http' : 'grpc';
  const kind = random();
  if (door === 'grpc' && kind < 0.7) return { name: 'frames of HTTP/2', by: 'raw', door, bytes: http2Frames(random) };
  const text =
    kind < 0.5
      ? oneOf(random, REQUESTS)
      : `${oneOf(random, METHODS)} ${oneOf(random, PATHS)} ${oneOf(random, VERSIONS)}\r\nHost: x\r\n\r\n`;
  return { name: 'an odd request', by: 'raw', door, bytes: Buffer.from(text, 'latin1') };
}

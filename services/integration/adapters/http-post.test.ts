import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '#kit/local/free-port.ts';
import { startReceiver } from '../testing/receiver.ts';
import { httpPost } from './http-post.ts';
import { type Lookup, ReceiverAddresses } from './receiver-address.ts';

const addresses = new ReceiverAddresses(true);
const post = httpPost(addresses, { timeoutMs: 300 });
const never = new AbortController().signal;

test('what is posted arrives byte for byte, and the answer is its status', async () => {
  const receiver = await startReceiver(202);
  const body = '{"name":"Zoë"}';

  const answer = await post(
    `${receiver.url}?a=b`,
    { 'content-type': 'application/json', 'webhook-id': 'one' },
    body,
    never,
  );

  expect(answer).toEqual({ httpStatus: 202, retryAfterMs: 0 });
  const [received] = receiver.received;
  expect(received).toMatchObject({ body, id: 'one', path: '/hooks?a=b' });
  expect(received?.headers).toMatchObject({ 'content-type': 'application/json', 'content-length': '15' });
});

test('a redirect is not followed', async () => {
  const other = await startReceiver();
  const receiver = await startReceiver((response) => response.writeHead(307, { location: other.url }).end());

  expect((await post(receiver.url, {}, '{}', never)).httpStatus).toBe(307);
  expect(other.received).toEqual([]);
});

test.each([
  ['7', 7_000, 7_000],
  [new Date(Date.now() + 60_000).toUTCString(), 58_000, 61_000],
  [new Date(Date.now() - 60_000).toUTCString(), 0, 0],
  ['soon', 0, 0],
])('an answer says when to come back: %s', async (retryAfter, least, most) => {
  const receiver = await startReceiver((response) => response.writeHead(429, { 'retry-after': retryAfter }).end());

  const { httpStatus, retryAfterMs } = await post(receiver.url, {}, '{}', never);

  expect(httpStatus).toBe(429);
  expect(retryAfterMs).toBeGreaterThanOrEqual(least);
  expect(retryAfterMs).toBeLessThanOrEqual(most);
});

test('a receiver that takes too long is not waited for', async () => {
  const silent = await startReceiver(() => {});

  await expect(post(silent.url, {}, '{}', never)).rejects.toMatchObject({
    name: 'NoAnswerError',
    message: 'no answer after 300 ms',
  });
});

test('what comes behind the status does not count: neither its end nor its size', async () => {
  let written = 0;
  const endless = await startReceiver((response) => {
    response.writeHead(200);
    const more = () => {
      do written += 65_536;
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', more);
    more();
  });
  const hanging = await startReceiver((response) => void response.writeHead(200).write('I have'));
  const broken = await startReceiver((response) => {
    response.writeHead(200, { 'content-length': '100' }).write('x');
    setImmediate(() => response.destroy());
  });

  for (const { url } of [endless, hanging, broken]) expect((await post(url, {}, '{}', never)).httpStatus).toBe(200);
  // What is on its way when the connection is ended is some megabytes at most.
  expect(written).toBeLessThan(20_000_000);
});

test('whoever does not listen, or does not speak HTTP, has not answered', async () => {
  const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;

  await expect(post(`http://127.0.0.1:${port}/`, {}, '{}', never)).rejects.toMatchObject({ name: 'NoAnswerError' });
  const nobody = `http://127.0.0.1:${await freePort()}/`;
  await expect(post(nobody, {}, '{}', never)).rejects.toThrow(/^ECONNREFUSED$/);
});

test('a caller that can not wait any longer is told its own reason', async () => {
  const silent = await startReceiver(() => {});
  const stop = new AbortController();
  const posted = post(silent.url, {}, '{}', stop.signal);
  await expect.poll(() => silent.received.length).toBe(1);
  const reason = new Error('the owner stops');
  stop.abort(reason);
  await expect(posted).rejects.toBe(reason);
});

test('in production a host that leads to this machine by now is not connected to', async () => {
  const receiver = await startReceiver();
  const port = new URL(receiver.url).port;
  const rebound = ((_: string, __: object, callback: (error: null, found: object[]) => void) =>
    callback(null, [{ address: '127.0.0.1', family: 4 }])) as unknown as Lookup;
  const strict = httpPost(new ReceiverAddresses(false, rebound), { timeoutMs: 300 });

  await expect(strict(`https://shop.example:${port}/`, {}, '{}', never)).rejects.toThrow(
    'not called: its URL has to lead to a public address',
  );
  await expect(strict(`https://127.0.0.1:${port}/`, {}, '{}', never)).rejects.toThrow(/public address/);
  await expect(strict(receiver.url, {}, '{}', never)).rejects.toThrow(/https/);
});

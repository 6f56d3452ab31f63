import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';
import { atTheEnd } from '#kit/testing/servers.ts';

/** A request as a receiver sees it. */
type Received = {
  /** Header webhook-id. */
  id: string;
  body: string;
  /** What the body says, its signature checked; undefined where there is no secret, or it is not the right one. */
  verified: { type: string; timestamp: string; data: Record<string, unknown> } | undefined;
  headers: IncomingMessage['headers'];
  path: string;
};

/** What a receiver does with a request: answers with this status, or as it likes. */
export type Behaviour = number | ((response: ServerResponse, received: Received) => void);

export type Receiver = {
  url: string;
  received: Received[];
  /** Signatures are checked with this. */
  secret: string;
  /** What it does with the next requests; then again what it did before. */
  next(...behaviours: Behaviour[]): void;
  /** What it does with all others. */
  always: Behaviour;
};

/** A webhook receiver on loopback, ended with the test, or its file. */
export async function startReceiver(always: Behaviour = 204): Promise<Receiver> {
  const queue: Behaviour[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const { headers, url: path = '' } = request;
    const received = { id: String(headers['webhook-id']), body, headers, path, verified: verified(body, headers) };
    receiver.received.push(received);
    const behaviour = queue.shift() ?? receiver.always;
    if (typeof behaviour === 'number') response.writeHead(behaviour).end();
    else behaviour(response, received);
  });
  atTheEnd(async () => {
    server.closeAllConnections();
    server.close();
  });
  function verified(body: string, headers: IncomingMessage['headers']): Received['verified'] {
    if (receiver.secret === '') return undefined;
    try {
      return new Webhook(receiver.secret).verify(body, headers as Record<string, string>) as Received['verified'];
    } catch {
      return undefined;
    }
  }
  const receiver: Receiver = { url: '', received: [], secret: '', next: (...them) => void queue.push(...them), always };
  await once(server.listen(0, '127.0.0.1'), 'listening');
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`;
  return receiver;
}

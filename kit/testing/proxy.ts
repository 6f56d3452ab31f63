import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** `requests` go from the client to the server, `answers` the other way. */
type Direction = 'requests' | 'answers';

/** Stands between a client and a server, and does to what they say what a bad network does. */
export type NetworkProxy = {
  /** Where the client finds the server now. */
  url: string;
  /** Keeps back everything in this direction from now on, in order. */
  hold(direction: Direction): void;
  /** Lets go what was kept back, and keeps nothing back any more. */
  release(direction: Direction): void;
  /** Ends all connections, and forgets what was kept back. The client may connect again. */
  cut(): void;
  /** What clients have sent and was let through or kept back, as text, since the last call. */
  sent(): string;
  close(): Promise<void>;
};

/** @param target the address of a server, such as `nats://127.0.0.1:4222`. */
export async function startProxy(target: string): Promise<NetworkProxy> {
  const { protocol, hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const held: Record<Direction, (() => void)[] | undefined> = { requests: undefined, answers: undefined };
  let sent = '';

  const pipe = (from: Socket, to: Socket, direction: Direction) => {
    sockets.add(from);
    from.on('data', (bytes: Buffer) => {
      if (direction === 'requests') sent += bytes.toString('latin1');
      const pass = () => to.write(bytes);
      const waiting = held[direction];
      if (waiting === undefined) pass();
      else waiting.push(pass);
    });
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    pipe(client, upstream, 'requests');
    pipe(upstream, client, 'answers');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const cut = () => {
    held.requests = held.requests && [];
    held.answers = held.answers && [];
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `${protocol}//127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold: (direction) => {
      held[direction] ??= [];
    },
    release: (direction) => {
      const waiting = held[direction] ?? [];
      held[direction] = undefined;
      for (const pass of waiting) pass();
    },
    cut,
    sent: () => {
      const text = sent;
      sent = '';
      return text;
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
}

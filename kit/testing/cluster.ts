import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { freePort } from '#kit/local/free-port.ts';
import { startLeashed } from '#kit/local/leash.ts';
import { natsProgram } from '#kit/local/nats.ts';
import { atTheEnd, ownDirectory } from './servers.ts';

const NODES = 3;

/** One broker of three. */
export type Node = {
  name: string;
  url: string;
  /** As a crash does; with SIGSTOP it hangs until SIGCONT. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same ports and directory, after it was killed. */
  restart(): Promise<void>;
};

/** Three brokers that keep streams together; the url has all of them. */
export type Cluster = { url: string; nodes: Node[] };

/** A cluster of the caller's own, ended and removed when the test, or its file, ends. */
export async function ownCluster(): Promise<Cluster> {
  const running: { end(): Promise<void> }[] = [];
  atTheEnd(async () => {
    await Promise.all(running.map(({ end }) => end()));
  });
  const program = await natsProgram();
  const ports = await Promise.all(Array.from({ length: NODES * 2 }, freePort));
  const routes = ports.slice(NODES).map((port) => `nats://127.0.0.1:${port}`);
  const nodes = await Promise.all(
    routes.map(async (route, index) => {
      const directory = await ownDirectory();
      const [name, url] = [`node-${index}`, `nats://127.0.0.1:${ports[index]}`];
      const lines = [
        `server_name: ${name}`,
        `listen: "127.0.0.1:${ports[index]}"`,
        `jetstream { store_dir: ${JSON.stringify(directory)}, max_file_store: 1TB }`,
        `cluster { name: test, listen: "${new URL(route).host}", routes: [${routes.join(', ')}] }`,
      ];
      const start = () => startNode(program.path, directory, url, lines.join('\n'));
      let server = await start();
      const end = async () => {
        await server.kill();
        await rm(directory, { recursive: true, force: true, maxRetries: 3 });
      };
      running.push({ end });
      const restart = async () => {
        server = await start();
      };
      return { name, url, kill: (signal?: NodeJS.Signals) => server.kill(signal), restart };
    }),
  );
  return { url: nodes.map(({ url }) => url).join(), nodes };
}

function startNode(program: string, directory: string, url: string, configuration: string) {
  const file = join(directory, 'nats-server.conf');
  return startLeashed({
    name: 'nats-server',
    directory,
    command: program,
    arguments: ['-c', file],
    prepare: () => writeFile(file, configuration),
    isReady: () => accepts(url),
  });
}

async function accepts(url: string): Promise<boolean> {
  try {
    await (await connect({ servers: url, reconnect: false })).close();
    return true;
  } catch {
    return false;
  }
}

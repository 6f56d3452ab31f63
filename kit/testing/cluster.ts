import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { freePort } from '#kit/local/free-port.ts';
import { startLeashed } from '#kit/local/leash.ts';
import { natsProgram } from '#kit/local/nats.ts';
import { ownDirectory } from './servers.ts';

const NODES = 3;

export type Node = { name: string; url: string; kill(): Promise<void> };

/** Three brokers that keep streams together. To be closed by whoever asked for them. */
export async function startCluster(): Promise<{ nodes: Node[]; close(): Promise<void> }> {
  const program = await natsProgram();
  const ports = await Promise.all(Array.from({ length: NODES * 2 }, freePort));
  const routes = ports.slice(NODES).map((port) => `nats://127.0.0.1:${port}`);
  const nodes = await Promise.all(
    routes.map(async (route, index) => {
      const [name, url, directory] = [`node-${index}`, `nats://127.0.0.1:${ports[index]}`, await ownDirectory()];
      const configuration = join(directory, 'nats-server.conf');
      const lines = [
        `server_name: ${name}`,
        `listen: "127.0.0.1:${ports[index]}"`,
        `jetstream { store_dir: ${JSON.stringify(directory)}, max_file_store: 1TB }`,
        `cluster { name: test, listen: "${new URL(route).host}", routes: [${routes.join(', ')}] }`,
      ];
      const server = await startLeashed({
        name: 'nats-server',
        directory,
        command: program.path,
        arguments: ['-c', configuration],
        prepare: () => writeFile(configuration, lines.join('\n')),
        isReady: () => accepts(url),
      });
      return { name, url, kill: () => server.kill() };
    }),
  );
  const close = async () => {
    await Promise.all(nodes.map(({ kill }) => kill()));
  };
  return { nodes, close };
}

async function accepts(url: string): Promise<boolean> {
  try {
    await (await connect({ servers: url, reconnect: false })).close();
    return true;
  } catch {
    return false;
  }
}

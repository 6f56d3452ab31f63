import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '#kit/local/free-port.ts';

const MAX_OUTPUT_BYTES = 16_000_000;

/** What ends in an error of kubectl's: its own words. */
class KubectlError extends Error {
  override name = 'KubectlError';
}

/** Commands to one namespace of one cluster. */
export class Kubectl {
  readonly #context: string;
  readonly namespace: string;

  constructor(context: string, namespace: string) {
    this.#context = context;
    this.namespace = namespace;
  }

  /** What the command prints. @throws KubectlError */
  run(words: readonly string[], input?: string): Promise<string> {
    return output('kubectl', ['--context', this.#context, '--namespace', this.namespace, ...words], input);
  }

  async json<Answer>(...words: string[]): Promise<Answer> {
    return JSON.parse(await this.run([...words, '--output', 'json'])) as Answer;
  }

  /** Names of the pods of a deployment or stateful set that were not told to go. */
  async podsOf(name: string): Promise<string[]> {
    const { items } = await this.json<{ items: { metadata: { name: string; deletionTimestamp?: string } }[] }>(
      'get',
      'pods',
      '--selector',
      `app.kubernetes.io/name=${name}`,
    );
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => metadata.name);
  }

  /** A port on 127.0.0.1 that leads to a port of a pod, until it is closed or the pod goes. */
  async forward(
    target: string,
    port: number,
    chosen?: number,
  ): Promise<{ port: number; closed: Promise<unknown>; close(): void }> {
    const local = chosen ?? (await freePort());
    const words = [
      '--context',
      this.#context,
      '--namespace',
      this.namespace,
      'port-forward',
      target,
      `${local}:${port}`,
    ];
    const child: ChildProcess = spawn('kubectl', words, { stdio: ['ignore', 'pipe', 'ignore'] });
    const closed = once(child, 'exit');
    const first = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), closed]);
    if (child.exitCode !== null) throw new KubectlError(`port-forward to ${target} ended at once: ${first}`);
    return { port: local, closed, close: () => void child.kill() };
  }
}

/** What a program prints on stdout. @throws KubectlError with what it says on stderr where it fails. */
export async function output(program: string, words: readonly string[], input = ''): Promise<string> {
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  let [said, complaint] = ['', ''];
  child.stdout.on('data', (chunk) => {
    if (said.length < MAX_OUTPUT_BYTES) said += chunk;
  });
  child.stderr.on('data', (chunk) => {
    if (complaint.length < MAX_OUTPUT_BYTES) complaint += chunk;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [status] = await once(child, 'close');
  if (status === 0) return said;
  throw new KubectlError(`${program} ${words.join(' ')} ended with ${status}:\n${complaint.trim()}`);
}

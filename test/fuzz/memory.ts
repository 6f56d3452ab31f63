/** Of a process that was started with `--inspect`: what it holds once what it does not need any more is collected. */
export class Memory {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (result: unknown) => void>();
  #asked = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id: number; result: unknown };
      this.#answers.get(id)?.(result);
      this.#answers.delete(id);
    });
  }

  static async of(port: number): Promise<Memory> {
    const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as { webSocketDebuggerUrl: string }[];
    const socket = new WebSocket(targets[0]?.webSocketDebuggerUrl ?? '');
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    return new Memory(socket);
  }

  async afterCollection(): Promise<{ rssMiB: number; heapMiB: number }> {
    for (let times = 0; times < 3; times++) await this.#ask('HeapProfiler.collectGarbage', {});
    const expression = 'JSON.stringify(process.memoryUsage())';
    const { result } = (await this.#ask('Runtime.evaluate', { expression })) as { result: { value: string } };
    const { rss, heapUsed, external } = JSON.parse(result.value) as NodeJS.MemoryUsage;
    return { rssMiB: Math.round(rss / 1024 ** 2), heapMiB: Math.round((heapUsed + external) / 1024 ** 2) };
  }

  close(): void {
    this.#socket.close();
  }

  #ask(method: string, params: object): Promise<unknown> {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, resolve);
      if (this.#socket.readyState !== WebSocket.OPEN) reject(new Error('the platform has ended'));
      this.#socket.addEventListener('close', () => reject(new Error('the platform has ended')), { once: true });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }
}

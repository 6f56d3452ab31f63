import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  type ErrorJson,
  type EventJson,
  type OrderClient,
  type OrderJson,
  type Placed,
  refusedCall,
} from './order-client.ts';

const root = new URL('../..', import.meta.url);

/** `buf curl` as a person types it: it knows nothing of the contracts, and asks the server for them by reflection. */
export function bufCurlClient(address: string, authorization: string): OrderClient {
  const unary = async <Answer>(method: string, request: object): Promise<Answer> => {
    for await (const answer of calls(address, authorization, method, request)) return answer as Answer;
    throw new Error(`buf curl printed no answer to ${method}`);
  };
  return {
    place: (order) => unary<Placed>('PlaceOrder', order),
    read: async (orderId, atLeast = []) => (await unary<{ order: OrderJson }>('GetOrder', { orderId, atLeast })).order,
    cancel: (orderId) => unary('CancelOrder', { orderId, reason: 'too late' }),
    async *watch(orderId) {
      for await (const answer of calls(address, authorization, 'WatchOrder', { orderId })) {
        yield (answer as { event: EventJson }).event;
      }
    },
  };
}

/** Runs it once, and yields each JSON document that it prints. */
async function* calls(
  address: string,
  authorization: string,
  method: string,
  request: object,
): AsyncGenerator<unknown> {
  const child = spawn(
    'node_modules/.bin/buf',
    [
      'curl',
      ...['--protocol', 'grpc', '--reflect-protocol', 'grpc-v1', '--http2-prior-knowledge'],
      ...['-H', `authorization: ${authorization}`, '-d', JSON.stringify(request)],
      `http://${address}/causeway.orders.v1.OrderService/${method}`,
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const exited = once(child, 'exit');
  let complaint = '';
  child.stderr.on('data', (chunk) => {
    complaint += chunk;
  });
  try {
    let printed = '';
    for await (const chunk of child.stdout) {
      printed += chunk;
      // A document ends with the brace that stands first in its line.
      for (let end = printed.search(/^\}$/m); end >= 0; end = printed.search(/^\}$/m)) {
        yield JSON.parse(printed.slice(0, end + 1));
        printed = printed.slice(end + 1);
      }
      if (/^\{.*\}\n$/.test(printed)) {
        yield JSON.parse(printed);
        printed = '';
      }
    }
    const [status] = await exited;
    if (status !== 0) throw refusedCall(errorIn(complaint));
  } finally {
    // The whole group: buf's command is a script that starts the program.
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    await exited;
  }
}

function errorIn(complaint: string): ErrorJson {
  const json = complaint.slice(complaint.indexOf('{'));
  try {
    return JSON.parse(json);
  } catch {
    throw new Error(`buf curl failed: ${complaint}`);
  }
}

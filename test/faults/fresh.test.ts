import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { programEnvironment } from '#kit/testing/program-environment.ts';
import { atTheEnd, ownDirectory } from '#kit/testing/servers.ts';
import { fetchClient } from '../interop/fetch-client.ts';
import { orderRequest, refusal } from '../interop/order-client.ts';
import { bearer, nothingFollows, platformProcess } from '../platform.ts';

test('--fresh takes nothing from a platform that runs, and throws away what one that was killed has left', async () => {
  const directory = await ownDirectory();
  const ada = await bearer('ada');
  const running = await platformProcess({ ...nothingFollows, CAUSEWAY_DATA: directory });
  const request = orderRequest();
  const placed = await fetchClient(running.http, ada).place(request);

  expect(await startFresh(directory)).toMatchObject({
    status: 1,
    said: expect.stringContaining('is in use by process'),
  });
  expect(await fetchClient(running.http, ada).place(request)).toEqual(placed);

  await running.kill();
  // Its servers may still be there, and write.
  const fresh = await platformProcess({ ...nothingFollows, CAUSEWAY_DATA: directory }, ['--fresh']);
  expect(await refusal(fetchClient(fresh.http, ada).read(request.orderId))).toMatchObject({ code: 'NOT_FOUND' });
  const again = await fetchClient(fresh.http, ada).place(request);

  await fresh.kill();
  const kept = await platformProcess({ ...nothingFollows, CAUSEWAY_DATA: directory });
  expect(await fetchClient(kept.http, ada).place(request)).toEqual(again);
});

/** As an operator does, on a machine without `ps`. */
async function startFresh(directory: string): Promise<{ status: number; said: string }> {
  const child = spawn(process.execPath, ['gateway/start.ts', '--fresh'], {
    cwd: new URL('../..', import.meta.url),
    env: {
      ...programEnvironment(),
      PATH: '',
      CAUSEWAY_DATA: directory,
      GATEWAY_GRPC_PORT: '0',
      GATEWAY_HTTP_PORT: '0',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  atTheEnd(async () => void child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [status] = await once(child, 'close');
  return { status, said };
}

import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { Started } from '#kit/process.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { drained } from './grpc-server.ts';
import { startHttpServer } from './http-server.ts';
import { Identity } from './identity.ts';
import { unlimited } from './limit.ts';
import { Pipeline } from './pipeline.ts';

test('anybody may ask whether it is ready: that costs no more, and says nothing of hosts and ports', async () => {
  let asked = 0;
  const server = await startHttpServer(
    [],
    new Pipeline({ identity: new Identity({}), limit: unlimited, logger: silent }),
    {
      host: '127.0.0.1',
      port: 0,
      maxRequestBytes: 1_000,
      health: async () => {
        asked++;
        return { ready: false, reasons: ['database: connection 3 to 10.0.0.7:27017 closed'] };
      },
      serveMetrics: () => {},
      logger: silent,
    },
  );
  onTestFinished(() => server.stop());

  const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(`http://127.0.0.1:${server.port}/readyz`)));

  for (const answer of answers) {
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ status: 'not ready', reasons: ['database: not ready'] });
  }
  expect(asked).toBeLessThan(50);
});

test('who comes again on an old connection while it drains gets an answer, and is sent elsewhere', async () => {
  const server = await startHttpServer(
    [],
    new Pipeline({ identity: new Identity({}), limit: unlimited, logger: silent }),
    {
      host: '127.0.0.1',
      port: 0,
      maxRequestBytes: 1_000,
      health: async () => ({ ready: true, reasons: [] }),
      serveMetrics: () => {},
      logger: silent,
    },
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => {
    agent.destroy();
    return server.stop();
  });
  const ask = async (path: string) => {
    const [answer] = (await once(get({ agent, port: server.port, path }), 'response')) as [IncomingMessage];
    await once(answer.resume(), 'end');
    return { status: answer.statusCode, connection: answer.headers.connection };
  };
  const started = new Started();
  started.beforeStop(() => drained([server], 0));
  expect(await ask('/healthz')).toEqual({ status: 200, connection: 'keep-alive' });

  await started.drain();

  expect(await ask('/healthz')).toEqual({ status: 200, connection: 'close' });
  await expect.poll(() => ask('/readyz')).toEqual({ status: 503, connection: 'close' });
});

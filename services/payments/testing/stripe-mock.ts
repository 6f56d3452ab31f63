import { request } from 'node:http';
import { join } from 'node:path';
import { builtOnce, outputOf, programOnPath } from '#kit/local/cache.ts';
import { type LeashedServer, startLeashed } from '#kit/local/leash.ts';
import { atTheEnd, ownDirectory } from '#kit/testing/servers.ts';

/** As in stripe-mock/go.mod, where its sum stands too. */
const VERSION = '0.203.0';

/** Stripe's own stand-in: knows each of its API's paths and parameters, and keeps nothing. */
export type StripeMock = { socketPath: string };

/** Starts it on a socket of the caller's own; ended when the test, or its file, ends. */
export async function startStripeMock(): Promise<StripeMock> {
  let server: LeashedServer | undefined;
  atTheEnd(async () => server?.kill());
  const directory = await ownDirectory();
  const socketPath = join(directory, 'stripe-mock.sock');
  server = await startLeashed({
    name: 'stripe-mock',
    directory,
    command: await stripeMockProgram(),
    arguments: ['-http-unix', socketPath],
    isReady: () => answers(socketPath),
  });
  return { socketPath };
}

async function stripeMockProgram(): Promise<string> {
  const installed = await programOnPath('stripe-mock');
  if (installed !== undefined) return installed;
  const go = await programOnPath('go');
  if (go === undefined) {
    throw new Error('There is no stripe-mock. Install it, or Go (https://go.dev/dl), with which it is built.');
  }
  return builtOnce(`stripe-mock-${VERSION}`, async (target) => {
    const module = 'github.com/stripe/stripe-mock';
    await outputOf(go, ['build', '-mod=readonly', '-trimpath', '-ldflags=-s -w', '-o', target, module], {
      cwd: join(import.meta.dirname, 'stripe-mock'),
      environment: { CGO_ENABLED: '0', GOWORK: 'off' },
    });
  });
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/' }, (response) => {
      response.resume();
      response.once('end', () => resolve(true));
    });
    asked.once('error', () => resolve(false));
    asked.end();
  });
}

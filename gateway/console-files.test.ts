import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { startHttpServer } from '#kit/rpc/http-server.ts';
import { Identity } from '#kit/rpc/identity.ts';
import { unlimited } from '#kit/rpc/limit.ts';
import { Pipeline } from '#kit/rpc/pipeline.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { atTheEnd, ownDirectory } from '#kit/testing/servers.ts';
import { ConsoleFiles } from './console-files.ts';

const PAGE = '<!doctype html><html><head><title>Causeway</title></head><body></body></html>';
const SCRIPT = `console.log(${JSON.stringify('orders '.repeat(300))});`;
const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

/** A build of the page in a folder; the later one of two is seen to be it by its time. */
async function built(folder: string, { page = PAGE, script = SCRIPT, at = 1_000 } = {}): Promise<void> {
  await mkdir(join(folder, 'assets'), { recursive: true });
  await writeFile(join(folder, 'index.html'), page);
  await writeFile(join(folder, 'icon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await writeFile(join(folder, 'assets/index-h4sh.js'), script);
  await writeFile(join(folder, 'assets/index-h4sh.js.br'), brotliCompressSync(script));
  await writeFile(join(folder, 'assets/index-h4sh.js.gz'), gzipSync(script));
  await writeFile(join(folder, 'built-from'), 'these sources');
  await utimes(join(folder, 'built-from'), at, at);
}

async function serving(page: ConsoleFiles): Promise<number> {
  const pipeline = new Pipeline({ identity: new Identity({}), limit: unlimited, logger: silent });
  const server = await startHttpServer([], pipeline, {
    host: '127.0.0.1',
    port: 0,
    maxRequestBytes: 1_000,
    health: async () => ({ ready: true, reasons: [] }),
    serveMetrics: (_, response) => response.end('up 1\n'),
    serveOther: (request, response) => page.serve(request, response),
    logger: silent,
  });
  atTheEnd(server.stop);
  return server.port;
}

type Answer = { status: number; headers: Record<string, string | string[] | undefined>; body: Buffer };

/** As it is: `fetch` would make a path plain, and a body readable. */
function ask(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, async (response) => {
      const body = Buffer.concat(await response.toArray());
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
    });
    asked.once('error', reject).end();
  });
}

let folder: string;
let port: number;

beforeAll(async () => {
  folder = await ownDirectory();
  await built(folder);
  port = await serving(new ConsoleFiles(folder, { traceUrl: 'https://traces.example.org/?a=1&id={trace_id}' }));
});

test.each([['/'], ['/orders/0000-1?tab=events'], ['/events/causeway.orders.v1.OrderPlaced'], ['/customers/a%40b.c']])(
  '%s is the page to a browser, asked for each time, and never without its policy',
  async (path) => {
    const { status, headers, body } = await ask(port, path, BROWSER);

    expect(status).toBe(200);
    expect(body.toString()).toContain('<title>Causeway</title>');
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
  },
);

test('where a trace is found stands in the page', async () => {
  const { body } = await ask(port, '/', BROWSER);

  expect(body.toString()).toContain(
    '<meta name="trace-url" content="https://traces.example.org/?a=1&amp;id={trace_id}" /></head>',
  );
});

test('the page is the same until it is another one', async () => {
  const { headers } = await ask(port, '/', BROWSER);

  const again = await ask(port, '/', { ...BROWSER, 'if-none-match': String(headers.etag) });

  expect(again.status).toBe(304);
  expect(again.body).toHaveLength(0);
  expect((await ask(port, '/', { ...BROWSER, 'if-none-match': '"another"' })).status).toBe(200);
});

test('what has a hash in its name is kept for ever; what has none is asked for', async () => {
  const script = await ask(port, '/assets/index-h4sh.js');
  const icon = await ask(port, '/icon.svg');

  expect(script.headers).toMatchObject({
    'content-type': 'text/javascript; charset=utf-8',
    'cache-control': 'public, max-age=31536000, immutable',
    'x-content-type-options': 'nosniff',
  });
  expect(script.body.toString()).toBe(SCRIPT);
  expect(icon.headers).toMatchObject({ 'content-type': 'image/svg+xml', 'cache-control': 'no-cache' });
});

test.each([
  ['gzip, deflate, br, zstd', 'br', (body: Buffer) => brotliDecompressSync(body)],
  ['gzip', 'gzip', (body: Buffer) => gunzipSync(body)],
  ['br;q=0, gzip;q=0.5', 'gzip', (body: Buffer) => gunzipSync(body)],
  ['identity', undefined, (body: Buffer) => body],
])('who accepts %s gets %s', async (accepted, encoding, plain) => {
  for (const path of ['/assets/index-h4sh.js', '/']) {
    const { headers, body } = await ask(port, path, { ...BROWSER, 'accept-encoding': accepted });

    expect(headers['content-encoding']).toBe(encoding);
    expect(headers.vary).toContain('accept-encoding');
    expect(Number(headers['content-length'])).toBe(body.length);
    expect(plain(body).toString()).toContain(path === '/' ? '</html>' : SCRIPT);
  }
});

test.each([['/'], ['/assets/index-h4sh.js']])('HEAD %s says what GET would, without the body', async (path) => {
  const got = await ask(port, path, BROWSER);
  const { status, headers, body } = await ask(port, path, BROWSER, 'HEAD');

  expect(status).toBe(200);
  expect(headers).toMatchObject({ etag: got.headers.etag, 'content-length': String(got.body.length) });
  expect(body).toHaveLength(0);
});

test.each([
  ['/assets/index-0ther.js', BROWSER],
  ['/assets/', BROWSER],
  ['/built-from', {}],
  ['/assets/index-h4sh.js.br', {}],
  ['/orders/0000-1', { accept: 'application/json' }],
  ['/..%2f..%2fpackage.json', BROWSER],
  ['/../../package.json', BROWSER],
  ['/%2e%2e/package.json', BROWSER],
  ['/..\\package.json', BROWSER],
  ['//example.org/', BROWSER],
  ['/%', BROWSER],
  ['/%00', BROWSER],
])('%s is not there, and that is no page', async (path, headers) => {
  const { status, headers: answered, body } = await ask(port, path, headers);

  expect(status).toBe(404);
  expect(answered['content-type']).toContain('application/json');
  expect(JSON.parse(body.toString())).toMatchObject({ code: 'not_found' });
});

test('a range that makes no sense does no harm', async () => {
  const { status, body } = await ask(port, '/assets/index-h4sh.js', { range: 'bytes=5-2' });

  expect([status, body.toString()]).toEqual([200, SCRIPT]);
});

test('what is not the page stays what it was, for a browser too', async () => {
  expect((await ask(port, '/healthz', BROWSER)).headers['content-type']).toContain('application/json');
  expect((await ask(port, '/metrics', BROWSER)).body.toString()).toBe('up 1\n');
  expect((await ask(port, '/causeway.orders.v1.OrderService/NoSuch', BROWSER, 'POST')).status).toBe(501);
  expect((await ask(port, '/', BROWSER, 'PUT')).status).toBe(404);
});

describe('a build', () => {
  test('that is not there is told at /, and the rest works without', async () => {
    const nothing = new ConsoleFiles(await ownDirectory(), { traceUrl: undefined, whyAbsent: () => 'no <vite> here' });
    const without = await serving(nothing);

    const { status, headers, body } = await ask(without, '/', BROWSER);

    expect(status).toBe(503);
    expect(headers['cache-control']).toBe('no-store');
    expect(body.toString()).toContain('no &lt;vite> here');
    expect(body.toString()).toContain('npm run console');
    expect((await ask(without, '/readyz')).status).toBe(200);
  });

  test('is seen when it comes, and again when it is another; while it goes on, the one before is whole', async () => {
    const where = await ownDirectory();
    const changing = await serving(new ConsoleFiles(where, { traceUrl: undefined }));
    expect((await ask(changing, '/', BROWSER)).status).toBe(503);

    await built(where, { script: 'first', at: 1_000 });
    expect((await ask(changing, '/', BROWSER)).status).toBe(200);

    await rm(where, { recursive: true });
    expect((await ask(changing, '/', BROWSER)).status).toBe(200);
    expect((await ask(changing, '/assets/index-h4sh.js')).body.toString()).toBe('first');

    await built(where, { script: 'second', at: 2_000 });
    await ask(changing, '/', BROWSER);
    expect((await ask(changing, '/assets/index-h4sh.js')).body.toString()).toBe('second');
  });
});

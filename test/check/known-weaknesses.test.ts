import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { atTheEnd, ownDirectory } from '#kit/testing/servers.ts';
import { knownWeaknesses } from './known-weaknesses.ts';

let project: string;

beforeAll(async () => {
  project = await ownDirectory();
  const packages = {
    '': { name: 'project', dependencies: { leaky: '1.0.0' } },
    'node_modules/leaky': { version: '1.0.0' },
  };
  const lock = { name: 'project', lockfileVersion: 3, requires: true, packages };
  await writeFile(join(project, 'package.json'), JSON.stringify(packages['']));
  await writeFile(join(project, 'package-lock.json'), JSON.stringify(lock));
});

/** A registry that knows of these weaknesses, or answers none who ask for them. */
async function registry(advisories: object | undefined): Promise<string> {
  const packument = { name: 'leaky', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { version: '1.0.0' } } };
  const server: Server = createServer((request, response) => {
    const answer = request.url?.endsWith('/advisories/bulk')
      ? advisories
      : request.url === '/leaky'
        ? packument
        : undefined;
    request
      .resume()
      .on('end', () => response.writeHead(answer === undefined ? 404 : 200).end(JSON.stringify(answer ?? {})));
  });
  atTheEnd(async () => server[Symbol.asyncDispose]());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const asked = async (address: string) =>
  knownWeaknesses(project, [`--registry=${address}`, `--cache=${join(project, 'cache')}`]);

test('a weakness that the registry knows of is named, with where to read of it', async () => {
  const advisory = {
    id: 1,
    url: 'https://example.com/1',
    title: 'It leaks',
    severity: 'high',
    vulnerable_versions: '<2',
  };

  expect(await asked(await registry({ leaky: [advisory] }))).toEqual({
    found: ['leaky, high: It leaks (https://example.com/1)'],
  });
});

test('none is found where it knows of none', async () => {
  expect(await asked(await registry({}))).toEqual({ found: [] });
});

test('who can not ask it does not say that there are none', async () => {
  expect(await asked(await registry(undefined))).toEqual({ unknownBecause: expect.stringContaining('404') });
});

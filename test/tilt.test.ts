import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';

const [own] = Object.values(networkInterfaces()).flatMap(
  (addresses) => addresses?.filter((each) => !each.internal) ?? [],
);

test.each([
  ['https://127.0.0.1:6443', true],
  ...(own === undefined
    ? []
    : ([[`https://${own.family === 'IPv6' ? `[${own.address}]` : own.address}:6443`, true]] as const)),
  ['https://203.0.113.7:6443', false],
  ['https://127.0.0.1.example.com:6443', false],
  ['https://localhost.example.com', false],
  ['', false],
] as const)('a cluster at %s is on this machine: %s', (server, isHere) => {
  const { status } = spawnSync(process.execPath, ['deploy/overlays/tilt/is-here.mjs', server]);

  expect(status === 0).toBe(isHere);
});

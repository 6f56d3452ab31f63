import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const original = new URL('../../', import.meta.url).pathname;
let copy: string;

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'contracts-'));
  for (const part of ['proto', 'buf.yaml', 'kit/testing/proto'])
    cpSync(join(original, part), join(copy, part), { recursive: true });
});

afterEach(() => rmSync(copy, { recursive: true }));

function breaking() {
  const { status, stdout, stderr } = spawnSync(
    join(original, 'node_modules/.bin/buf'),
    ['breaking', '--against', original],
    {
      cwd: copy,
      encoding: 'utf8',
    },
  );
  return { status, said: stdout + stderr };
}

function change(file: string, from: string, to: string): void {
  const path = join(copy, file);
  const text = readFileSync(path, 'utf8');
  expect(text).toContain(from);
  writeFileSync(path, text.replace(from, to));
}

test('unchanged contracts break nothing', () => {
  expect(breaking()).toEqual({ status: 0, said: '' });
});

test('a new field breaks nothing', () => {
  change(
    'proto/causeway/orders/v1/events.proto',
    'string tracking_number = 2;',
    'string tracking_number = 2;\n  string carrier = 3;',
  );
  expect(breaking().status).toBe(0);
});

test('a removed field is found and named', () => {
  change('proto/causeway/orders/v1/events.proto', 'string payment_method = 5;', '');
  const { status, said } = breaking();
  expect(status).not.toBe(0);
  expect(said).toContain('"5" with name "payment_method" on message "OrderPlaced" was deleted');
});

test('a changed type is found', () => {
  change('proto/causeway/inventory/v1/events.proto', 'uint32 quantity = 4;', 'string quantity = 4;');
  expect(breaking().status).not.toBe(0);
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  choice,
  describeSettings,
  duration,
  file,
  flag,
  integer,
  key,
  port,
  readSettings,
  type Setting,
  SettingsError,
  secret,
  server,
  share,
  size,
  text,
  url,
  urlWith,
} from './settings.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function written(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function read<Value>(setting: Setting<Value>, given: string | undefined): Value {
  return readSettings({ it: setting }, given === undefined ? {} : { NAME: given }).it as Value;
}

const bytes = Buffer.alloc(32, 0xfb);

test.each([
  ['a text', text('NAME', 'fallback', ''), ' given ', 'given'],
  ['a whole number', integer('NAME', 1, ''), '42', 42],
  ['a port', port('NAME', 9090, ''), '0', 0],
  ['milliseconds', duration('NAME', '1s', ''), '500ms', 500],
  ['seconds', duration('NAME', '1s', ''), '60s', 60_000],
  ['minutes', duration('NAME', '1s', ''), '15m', 900_000],
  ['hours', duration('NAME', '1s', ''), '24h', 86_400_000],
  ['days', duration('NAME', '1s', ''), '30d', 2_592_000_000],
  ['mebibytes', size('NAME', '1GiB', ''), '512MiB', 536_870_912],
  ['tebibytes', size('NAME', '1GiB', ''), '2TiB', 2_199_023_255_552],
  ['a share', share('NAME', 1, ''), '0.25', 0.25],
  ['an address', url('NAME', ['nats', 'tls'], ''), 'tls://broker:4222', 'tls://broker:4222'],
  ['addresses', url('NAME', ['nats'], ''), 'nats://a:1,nats://b:2', 'nats://a:1,nats://b:2'],
  ['a server', server('NAME', '', ''), 'http://orders:9091', 'http://orders:9091'],
  ['a server by its IPv6 address', server('NAME', '', ''), 'http://[::1]:9091', 'http://[::1]:9091'],
  ['a choice', choice('NAME', ['left', 'right'], 'left', ''), 'right', 'right'],
  ['yes', flag('NAME', false, ''), 'true', true],
  ['no', flag('NAME', true, ''), 'false', false],
  ['a key in hexadecimal', key('NAME', '', ''), bytes.toString('hex'), bytes],
  ['a key in base64', key('NAME', '', ''), bytes.toString('base64'), bytes],
  ['a key in base64url', key('NAME', '', ''), bytes.toString('base64url'), bytes],
  ['a file that exists', file('NAME', ''), import.meta.filename, import.meta.filename],
] as [string, Setting<unknown>, string, unknown][])('%s is read', (_, setting, given, value) => {
  expect(read(setting, given)).toEqual(value);
});

test.each([
  ['a fraction', integer('NAME', 1, ''), '1.5'],
  ['a number in other notation', integer('NAME', 1, ''), '1e3'],
  ['less than the least', integer('NAME', 1, '', { min: 1 }), '0'],
  ['more than the most', integer('NAME', 1, '', { max: 5 }), '6'],
  ['a port that does not exist', port('NAME', 1, ''), '65536'],
  ['a duration without a unit', duration('NAME', '1s', ''), '60'],
  ['a duration of no length that can be counted', duration('NAME', '1s', ''), '99999999999999d'],
  ['a size without a unit', size('NAME', '1GiB', ''), '1073741824'],
  ['a size of nothing', size('NAME', '1GiB', ''), '0GiB'],
  ['a size in thousands', size('NAME', '1GiB', ''), '8GB'],
  ['a share above one', share('NAME', 1, ''), '1.1'],
  ['another scheme', url('NAME', ['nats'], ''), 'http://broker:4222'],
  ['a server with TLS', server('NAME', '', ''), 'https://orders:9091'],
  ['a server with a path', server('NAME', '', ''), 'http://orders:9091/v1'],
  ['two servers', server('NAME', '', ''), 'http://orders:9091,http://others:9091'],
  ['a server without a host', server('NAME', '', ''), 'http://:9091'],
  ['a server with a user', server('NAME', '', ''), 'http://user@orders:9091'],
  ['a scheme without an address', url('NAME', ['nats'], ''), 'nats://'],
  ['what is no choice', choice('NAME', ['left', 'right'], 'left', ''), 'up'],
  ['what is neither yes nor no', flag('NAME', false, ''), '1'],
  ['a key that is too short', key('NAME', '', ''), bytes.subarray(1).toString('base64')],
  ['a key with a slip of the pen', key('NAME', '', ''), `${bytes.toString('base64')}!`],
  ['a file that is not there', file('NAME', ''), '/nowhere/at/all'],
] as [string, Setting<unknown>, string][])('%s is refused', (_, setting, given) => {
  expect(() => read(setting, given)).toThrow(SettingsError);
  expect(() => read(setting, given)).toThrow(`NAME must be ${setting.expected}`);
});

describe('what is not set', () => {
  test('has its default', () => {
    expect(read(integer('NAME', 7, ''), undefined)).toBe(7);
    expect(read(duration('NAME', '15m', ''), undefined)).toBe(900_000);
    expect(read(flag('NAME', undefined, ''), undefined)).toBeUndefined();
  });

  test('is the same as what is blank', () => {
    expect(read(integer('NAME', 7, ''), '  ')).toBe(7);
  });
});

test('everything that is wrong is said at once', () => {
  const settings = { one: port('ONE', 1, ''), two: duration('TWO', '1s', ''), three: port('THREE', 3, '') };
  const environment = { ONE: 'first', TWO: 'second', THREE: '3' };
  expect(() => readSettings(settings, environment)).toThrow(
    'ONE must be a whole number from 0 to 65535, not "first"\nTWO must be a duration such as 500ms, 60s, 15m or 24h, not "second"',
  );
});

describe('a secret', () => {
  const settings = { password: secret('PASSWORD', '', ''), address: url('ADDRESS', ['nats'], '') };

  test('is never shown, nor is an address, which may hold one', () => {
    const wrong = () =>
      readSettings(
        { ...settings, master: key('MASTER', '', '') },
        { MASTER: 'hunter2', ADDRESS: 'http://a:hunter2@b' },
      );
    expect(wrong).toThrow(/^ADDRESS must be/m);
    expect(wrong).toThrow(/^MASTER must be/m);
    expect(wrong).not.toThrow('hunter2');
  });

  test('may stand in a file', () => {
    expect(readSettings(settings, { PASSWORD_FILE: written('password', 'hunter2\n') }).password).toBe('hunter2');
  });

  test.each(['missing', 'empty'])('in a file that is %s stops the start', (name) => {
    const path = name === 'empty' ? written(name, '\n') : join(folder, name);
    expect(() => readSettings(settings, { PASSWORD_FILE: path })).toThrow('PASSWORD_FILE must be a file');
  });
});

test('each setting can be described with its default', () => {
  const settings = {
    port: port('PORT', 8080, 'where it listens'),
    wait: duration('WAIT', '15m', 'how long'),
    creds: file('CREDS', 'whose'),
    key: secret('KEY', 'what opens it', 'a development key'),
  };
  expect(describeSettings(settings)).toEqual([
    { name: 'PORT', default: '`8080`', meaning: 'where it listens' },
    { name: 'WAIT', default: '`15m`', meaning: 'how long' },
    { name: 'CREDS', default: 'unset', meaning: 'whose' },
    { name: 'KEY', default: 'a development key', meaning: 'what opens it' },
  ]);
});

test.each([['ftp://host/{trace_id}'], ['trace/{trace_id}'], ['https://host/trace']])(
  '%s is no address that a trace id is put into',
  (given) => {
    const settings = { traceUrl: urlWith('{trace_id}', 'TRACE_URL', 'where a trace is found') };

    expect(() => readSettings(settings, { TRACE_URL: given })).toThrow('TRACE_URL must be an address');
    const good = 'https://host/trace/{trace_id}';
    expect(readSettings(settings, { TRACE_URL: good })).toEqual({ traceUrl: good });
  },
);

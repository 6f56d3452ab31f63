import { describe, expect, test } from 'vitest';
import { type Lookup, ReceiverAddresses } from './receiver-address.ts';

/** Answers with the addresses that a host is said to have. */
function names(hosts: Record<string, string[]>): Lookup {
  const lookup = (host: string, _: object, callback: (error: Error | null, found: object[]) => void) => {
    const found = hosts[host];
    if (found === undefined) return callback(Object.assign(new Error('?'), { code: 'ENOTFOUND' }), []);
    if (found.length === 0) return callback(Object.assign(new Error('?'), { code: 'EAI_AGAIN' }), []);
    callback(
      null,
      found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  return lookup as unknown as Lookup;
}

const hosts = names({
  'shop.example': ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c'],
  'inside.example': ['10.1.2.3'],
  'mixed.example': ['93.184.215.14', '127.0.0.1'],
  'away.example': [],
});
const strict = new ReceiverAddresses(false, hosts);
const lenient = new ReceiverAddresses(true, hosts);

const addressesOf = (receivers: ReceiverAddresses, host: string, all = true) =>
  new Promise((resolve, reject) => {
    receivers.lookup(host, { all }, (error, found) => (error === null ? resolve(found) : reject(error)));
  });

describe('in production', () => {
  test.each([
    'https://shop.example/hooks',
    'https://shop.example:8443/hooks?a=b',
    'https://93.184.215.14/',
    'https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/',
  ])('%s is good', async (url) => {
    await expect(strict.requireGood(url)).resolves.toBeUndefined();
  });

  test.each([
    ['http://shop.example/', 'https'],
    ['https://inside.example/', 'public'],
    ['https://mixed.example/', 'public'],
    ['https://unknown.example/', 'not known'],
    ['https://localhost./', 'not known'],
    ['https://127.0.0.1/', 'public'],
    ['https://2130706433/', 'public'],
    ['https://0x7f.1/', 'public'],
    ['https://10.0.0.1/', 'public'],
    ['https://172.31.255.255/', 'public'],
    ['https://192.168.1.1/', 'public'],
    ['https://169.254.169.254/latest/meta-data', 'public'],
    ['https://100.100.0.1/', 'public'],
    ['https://0.0.0.0/', 'public'],
    ['https://224.0.0.1/', 'public'],
    ['https://255.255.255.255/', 'public'],
    ['https://[::1]/', 'public'],
    ['https://[::]/', 'public'],
    ['https://[::ffff:127.0.0.1]/', 'public'],
    ['https://[::ffff:93.184.215.14]/', 'public'],
    ['https://[64:ff9b::7f00:1]/', 'public'],
    ['https://[2002:7f00:1::]/', 'public'],
    ['https://[fd00::1]/', 'public'],
    ['https://[fe80::1]/', 'public'],
  ])('%s is not', async (url, why) => {
    await expect(strict.requireGood(url)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { violations: [{ field: 'url', description: expect.stringContaining(why) }] },
    });
  });

  test('a host that can not be looked up now is nobody‘s mistake', async () => {
    await expect(strict.requireGood('https://away.example/')).rejects.toThrow(/can not be looked up now/);
  });

  test('a socket is given no address that is not public, whatever the host had when it was looked at', async () => {
    expect(await addressesOf(strict, 'shop.example')).toHaveLength(2);
    expect(await addressesOf(strict, 'shop.example', false)).toBe('93.184.215.14');
    await expect(addressesOf(strict, 'inside.example')).rejects.toThrow(/public/);
    await expect(addressesOf(strict, 'mixed.example', false)).rejects.toThrow(/public/);
    expect(() => strict.requireAllowed(new URL('https://127.0.0.1/'))).toThrow(/public/);
  });
});

describe('in development', () => {
  test.each(['http://127.0.0.1:8099/', 'http://localhost/', 'https://inside.example/', 'https://unknown.example/'])(
    '%s is good, too',
    async (url) => {
      await expect(lenient.requireGood(url)).resolves.toBeUndefined();
      expect(() => lenient.requireAllowed(new URL(url))).not.toThrow();
    },
  );

  test('a socket is given whatever address there is', async () => {
    expect(await addressesOf(lenient, 'inside.example')).toEqual([{ address: '10.1.2.3', family: 4 }]);
  });

  test.each([
    'ftp://shop.example/',
    'file:///etc/passwd',
    'https://user:word@shop.example/',
    'shop.example',
    'https://',
  ])('%s is not', async (url) => {
    await expect(lenient.requireGood(url)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

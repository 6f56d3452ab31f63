import { decodeJwt } from 'jose';
import { describe, expect, test } from 'vitest';
import { Identity } from '#kit/rpc/identity.ts';
import { run, runCauseway } from './testing/run.ts';

const SECRET = 'a secret of thirty-two bytes or so';

describe('token', () => {
  test('prints a token for the development key, alone on a line, as npm runs it', async () => {
    const words = ['run', '-s', 'causeway', '--', 'token', '--role', 'customer', '--subject', 'alice'];
    const { status, stdout, stderr } = await run('npm', words);

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^\S+\n$/);
    const caller = await new Identity({}).authenticate(`Bearer ${stdout.trim()}`);
    expect(caller).toMatchObject({ subject: 'alice', role: 'customer' });
  });

  test('signs with AUTH_SECRET where it is set, for the role and the time that were asked for', async () => {
    const words = ['token', '--role', 'operator', '--subject', 'olga', '--expires', '15m'];
    const { status, stdout } = await runCauseway(words, { AUTH_SECRET: SECRET });

    expect(status).toBe(0);
    const caller = await new Identity({ secret: SECRET }).authenticate(`Bearer ${stdout.trim()}`);
    expect(caller).toMatchObject({ subject: 'olga', role: 'operator' });
    await expect(async () => new Identity({}).authenticate(`Bearer ${stdout.trim()}`)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    const { iat = 0, exp = 0 } = decodeJwt(stdout.trim());
    expect(exp - iat).toBe(15 * 60);
  });

  test.each<[string, string[], Record<string, string>, string]>([
    [
      'where another issuer makes them',
      ['--role', 'customer', '--subject', 'alice'],
      { AUTH_JWKS_URL: 'https://issuer.example/keys' },
      'tokens are checked with AUTH_JWKS_URL; only its issuer can make them',
    ],
    [
      'with the development key in production',
      ['--role', 'customer', '--subject', 'alice'],
      { NODE_ENV: 'production' },
      'AUTH_JWKS_URL or AUTH_SECRET must be set',
    ],
    ['without a role', ['--subject', 'alice'], {}, "'--role <role>'"],
    ['for a role that there is not', ['--role', 'king', '--subject', 'alice'], {}, 'customer, operator'],
    ['without a subject', ['--role', 'customer'], {}, "'--subject <id>'"],
    ['for a subject that no call could have', ['--role', 'customer', '--subject', 'a b'], {}, 'printable characters'],
    [
      'for a time that is none',
      ['--role', 'customer', '--subject', 'alice', '--expires', 'soon'],
      {},
      'a duration such as 15m',
    ],
  ])('is refused %s, which is said without a stack', { concurrent: true }, async (_, words, environment, said) => {
    const { status, stdout, stderr } = await runCauseway(['token', ...words], environment);

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(said);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('the operator tool', () => {
  test('says what it can do', async () => {
    const { status, stdout } = await runCauseway(['--help']);

    expect(status).toBe(0);
    for (const command of ['token', 'erase-customer', 'audit', 'dead-letters', 'fulfilments'])
      expect(stdout).toContain(command);
  });

  test.each([[['tokn']], [[]]])('does not do what it does not know, and shows what it does: %j', async (words) => {
    const { status, stdout, stderr } = await runCauseway(words);

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('erase-customer');
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('erase-customer', () => {
  test.each<[string, string[], Record<string, string>, string]>([
    ['without a subject', ['--yes'], {}, "'--subject <id>'"],
    [
      'where nobody answers',
      ['--subject', 'alice', '--yes'],
      { CAUSEWAY_URL: 'http://127.0.0.1:1' },
      'the gateway at http://127.0.0.1:1 can not be reached',
    ],
  ])('is refused %s, which is said without a stack', async (_, words, environment, said) => {
    const { status, stdout, stderr } = await runCauseway(['erase-customer', ...words], environment);

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(said);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

test('who reads no further than the first lines is told of no error', async () => {
  const token = `${process.execPath} gateway/cli/main.ts token --role operator --subject olga`;

  expect(await run('sh', ['-c', `${token} | true`])).toMatchObject({ status: 0, stderr: '' });
});

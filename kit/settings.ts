import { existsSync, readFileSync } from 'node:fs';

/** A setting: its name in the environment, how its text is read, and what the README says of it. */
export type Setting<Value> = {
  name: string;
  /** What is accepted, in words: "a port, 0 to 65535". */
  expected: string;
  /** As the README shows it. */
  defaultText: string;
  meaning: string;
  secret: boolean;
  /** @throws Error where the text is not as expected. */
  parse(text: string): Value;
  fallback: Value;
};

export type Settings = Record<string, Setting<unknown>>;

export type SettingValues<Declared extends Settings> = {
  [Name in keyof Declared]: Declared[Name] extends Setting<infer Value> ? Value : never;
};

/** Settings that are not as they should be. The message names each, and shows no secret. */
export class SettingsError extends Error {
  override name = 'SettingsError';
}

/**
 * Reads settings from an environment. A secret may stand in a file that `<NAME>_FILE` names.
 * @throws SettingsError that names every bad key.
 */
export function readSettings<Declared extends Settings>(
  declared: Declared,
  environment: NodeJS.ProcessEnv,
): SettingValues<Declared> {
  const problems: string[] = [];
  const values = Object.entries(declared).map(([key, setting]) => {
    try {
      const text = textOf(setting, environment);
      return [key, text === undefined ? setting.fallback : setting.parse(text)];
    } catch (error) {
      const given = setting.secret ? '' : `, not ${JSON.stringify(environment[setting.name])}`;
      const why =
        error instanceof UnreadableFileError ? error.message : `${setting.name} must be ${setting.expected}${given}`;
      problems.push(why);
      return [key, setting.fallback];
    }
  });
  if (problems.length > 0) throw new SettingsError(problems.join('\n'));
  return Object.fromEntries(values);
}

/** The rows of the README's table. */
export function describeSettings(declared: Settings): { name: string; default: string; meaning: string }[] {
  return Object.values(declared).map(({ name, defaultText, meaning }) => ({ name, default: defaultText, meaning }));
}

class UnreadableFileError extends Error {}

function textOf({ name, secret }: Setting<unknown>, environment: NodeJS.ProcessEnv): string | undefined {
  const file = secret ? environment[`${name}_FILE`] : undefined;
  if (file !== undefined && file !== '') {
    try {
      const text = readFileSync(file, 'utf8').trim();
      // Who names a file means a secret to be used, neither an empty one nor the default.
      if (text !== '') return text;
    } catch {
      // Said below, together with the empty one.
    }
    throw new UnreadableFileError(
      `${name}_FILE must be a file that can be read and holds a text, not ${JSON.stringify(file)}`,
    );
  }
  const text = environment[name]?.trim();
  return text === '' ? undefined : text;
}

type Words = { expected: string; defaultText?: string; secret?: boolean };

function setting<Value>(
  name: string,
  fallback: Value,
  meaning: string,
  parse: (text: string) => Value,
  { expected, defaultText, secret = false }: Words,
): Setting<Value> {
  const shown = defaultText ?? (fallback === undefined ? 'unset' : `\`${fallback}\``);
  return { name, expected, defaultText: shown, meaning, secret, parse, fallback };
}

function check<Value>(good: boolean, value: Value): Value {
  if (!good) throw new Error('not as expected');
  return value;
}

export function text<Fallback extends string | undefined>(
  name: string,
  fallback: Fallback,
  meaning: string,
  defaultText?: string,
) {
  return setting<string | Fallback>(name, fallback, meaning, (given) => given, {
    expected: 'a text',
    ...(defaultText === undefined ? {} : { defaultText }),
  });
}

/** A text that is never shown. */
export function secret(name: string, meaning: string, defaultText: string) {
  return setting<string | undefined>(name, undefined, meaning, (given) => given, {
    expected: 'a text',
    defaultText,
    secret: true,
  });
}

export function integer<Fallback extends number | undefined>(
  name: string,
  fallback: Fallback,
  meaning: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER } = {},
) {
  const parse = (given: string) =>
    check(/^-?\d+$/.test(given) && Number(given) >= min && Number(given) <= max, Number(given));
  const upTo = max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`;
  return setting<number | Fallback>(name, fallback, meaning, parse, { expected: `a whole number from ${min}${upTo}` });
}

/** A share, 0 to 1. */
export function share(name: string, fallback: number, meaning: string) {
  const parse = (given: string) => check(given !== '' && Number(given) >= 0 && Number(given) <= 1, Number(given));
  return setting<number>(name, fallback, meaning, parse, { expected: 'a number from 0 to 1' });
}

/** A key of 32 bytes, in base64 or hexadecimal. */
export function key(name: string, meaning: string, defaultText: string) {
  const parse = (given: string) => {
    const hexadecimal = /^[0-9a-fA-F]{64}$/.test(given);
    // Node skips what is not base64: a key with a slip of the pen in it would be another key.
    return check(
      hexadecimal || /^[A-Za-z0-9+/_-]{43}=?$/.test(given),
      Buffer.from(given, hexadecimal ? 'hex' : 'base64'),
    );
  };
  return setting<Buffer | undefined>(name, undefined, meaning, parse, {
    expected: '32 bytes in base64 or hexadecimal',
    defaultText,
    secret: true,
  });
}

/** A TCP port; 0 takes any free one. */
export function port<Fallback extends number | undefined>(name: string, fallback: Fallback, meaning: string) {
  return integer(name, fallback, meaning, { min: 0, max: 65_535 });
}

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration such as `500ms`, `60s`, `15m`, `24h`, `30d`; its value is in milliseconds. */
export function duration(name: string, fallback: string, meaning: string) {
  const parse = (given: string) => {
    const [, amount, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(given) ?? [];
    const milliseconds = Number(amount) * (UNITS[unit ?? ''] ?? 0);
    return check(Number.isSafeInteger(milliseconds), milliseconds);
  };
  return setting<number>(name, parse(fallback), meaning, parse, {
    expected: 'a duration such as 500ms, 60s, 15m or 24h',
    defaultText: `\`${fallback}\``,
  });
}

const SIZES: Record<string, number> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

/** A size such as `512MiB` or `8GiB`; its value is in bytes. */
export function size(name: string, fallback: string, meaning: string) {
  const parse = (given: string) => {
    const [, amount, unit] = /^([1-9]\d*)(KiB|MiB|GiB|TiB)$/.exec(given) ?? [];
    const bytes = Number(amount) * (SIZES[unit ?? ''] ?? 0);
    return check(Number.isSafeInteger(bytes), bytes);
  };
  return setting<number>(name, parse(fallback), meaning, parse, {
    expected: 'a size such as 512MiB, 8GiB or 1TiB',
    defaultText: `\`${fallback}\``,
  });
}

function hasHost(address: string): boolean {
  return URL.canParse(address) && new URL(address).host !== '';
}

export function url(name: string, schemes: readonly string[], meaning: string, defaultText = 'unset') {
  const parse = (given: string) =>
    check(schemes.some((scheme) => given.startsWith(`${scheme}://`)) && hasHost(given.split(',')[0] ?? ''), given);
  return setting<string | undefined>(name, undefined, meaning, parse, {
    expected: `an address that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
    defaultText,
    // An address may hold a password.
    secret: true,
  });
}

/** Where a server of ours listens, in the clear: what else an address may have would mean nothing there. */
export function server(name: string, meaning: string, defaultText: string) {
  const parse = (given: string) => check(/^http:\/\/[^/?#@,\s]+\/?$/.test(given) && hasHost(given), given);
  return setting<string | undefined>(name, undefined, meaning, parse, {
    expected: 'http://HOST:PORT, and nothing after it',
    defaultText,
  });
}

/** An address with a place in it that something is put into, such as `https://example.org/trace/{trace_id}`. */
export function urlWith(placeholder: string, name: string, meaning: string) {
  const parse = (given: string) =>
    check(/^https?:\/\//.test(given) && hasHost(given) && given.includes(placeholder), given);
  return setting<string | undefined>(name, undefined, meaning, parse, {
    expected: `an address that begins with http:// or https:// and holds ${placeholder}`,
  });
}

/** Path of a file that exists. */
export function file(name: string, meaning: string, defaultText = 'unset') {
  return setting<string | undefined>(name, undefined, meaning, (given) => check(existsSync(given), given), {
    expected: 'the path of a file that exists',
    defaultText,
  });
}

export function flag<Fallback extends boolean | undefined>(
  name: string,
  fallback: Fallback,
  meaning: string,
  defaultText?: string,
) {
  return setting<boolean | Fallback>(
    name,
    fallback,
    meaning,
    (given) => check(['true', 'false'].includes(given), given === 'true'),
    {
      expected: 'true or false',
      ...(defaultText === undefined ? {} : { defaultText }),
    },
  );
}

export function choice<Choice extends string>(
  name: string,
  choices: readonly Choice[],
  fallback: Choice,
  meaning: string,
) {
  return setting<Choice>(
    name,
    fallback,
    meaning,
    (given) => check(choices.includes(given as Choice), given as Choice),
    {
      expected: `one of ${choices.join(', ')}`,
    },
  );
}

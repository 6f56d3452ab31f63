import { userInfo } from 'node:os';
import type { DescService } from '@bufbuild/protobuf';
import { type Client, Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { identitySettings, platformSettings } from '#kit/platform-settings.ts';
import { StartError } from '#kit/process.ts';
import { signToken } from '#kit/rpc/identity.ts';
import { readSettings, SettingsError } from '#kit/settings.ts';
import { transportTo } from '../transport.ts';

/** What every command that calls the gateway is told. */
export type CallingOptions = { url: string; token?: string; json: boolean };

/** Of each list. */
export const PAGE_SIZE = 100;
/** For calls with one answer; a replay's answers are waited for as long as they take. */
export const oneAnswer = { timeoutMs: 60_000 };

const TOKEN_FOR = '1h';

/** Adds to a command what every command that calls the gateway is told, and examples of it to its help. */
export function calling(command: Command, ...examples: string[]): Command {
  const name = [command.parent, command].flatMap((each) => each?.name() ?? []).join(' ');
  const said = examples.map((words) => `  npm run -s causeway -- ${name} ${words}`.trimEnd());
  return command
    .addOption(
      new Option('--url <url>', "the gateway's HTTP address").env('CAUSEWAY_URL').default('http://127.0.0.1:8080'),
    )
    .addOption(
      new Option('--token <token>', "an operator's; left out: one made with AUTH_SECRET or the development key").env(
        'CAUSEWAY_TOKEN',
      ),
    )
    .option('--json', 'print JSON on stdout and nothing else, for scripts', false)
    .addHelpText('after', `\nExamples:\n${said.join('\n')}`);
}

/**
 * Calls a service through the gateway as an operator.
 * @throws StartError with what to tell the operator where that fails; SettingsError where no token can be had.
 */
export async function asOperator<Service extends DescService, Result>(
  service: Service,
  { url, token }: Pick<CallingOptions, 'url' | 'token'>,
  call: (client: Client<Service>) => Promise<Result>,
): Promise<Result> {
  return throughGateway({ url, token }, (transport) => call(createClient(service, transport)));
}

/** The same for who calls more than one service. */
export async function throughGateway<Result>(
  { url, token }: Pick<CallingOptions, 'url'> & { token: string | undefined },
  call: (transport: Transport) => Promise<Result>,
): Promise<Result> {
  if (!URL.canParse(url) || !/^https?:/.test(url)) throw new SettingsError(`--url is not an http address: ${url}`);
  const transport = transportTo(url, token ?? (await ownToken()));
  try {
    return await call(transport);
  } catch (error) {
    throw error instanceof ConnectError ? new StartError(whatToTell(error, url)) : error;
  }
}

/**
 * Reads a stream until enough has been seen of it, and then ends the call: who only stops to read leaves it open, and the
 * program with it.
 * @param see answers whether that was enough.
 */
export async function readStream<Message>(
  stream: (options: { signal: AbortSignal }) => AsyncIterable<Message>,
  see: (message: Message) => boolean,
): Promise<void> {
  const end = new AbortController();
  try {
    for await (const message of stream({ signal: end.signal })) if (see(message)) return;
  } finally {
    end.abort();
  }
}

async function ownToken(): Promise<string> {
  const { secret, ...origin } = identitySettings(readSettings(platformSettings, process.env));
  if (secret === undefined) {
    throw new SettingsError('tokens are checked with AUTH_JWKS_URL: say one of its issuer with --token');
  }
  return signToken({ subject: whoAmI(), role: 'operator' }, secret, TOKEN_FOR, origin);
}

/** Who is on record for what is done. */
function whoAmI(): string {
  try {
    const { username } = userInfo();
    return username.replaceAll(/[^\x21-\x7e]/g, '_').slice(0, 128) || 'operator';
  } catch {
    // The user of this process has no name.
    return 'operator';
  }
}

function whatToTell(error: ConnectError, url: string): string {
  // What the gateway answers has no cause: that is an error of the connection.
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  if (cause?.code !== undefined) return `the gateway at ${url} can not be reached: ${cause.code}`;
  switch (error.code) {
    case Code.Unauthenticated:
      return `the gateway does not know you: ${error.rawMessage}`;
    case Code.PermissionDenied:
      return `you may not do that: ${error.rawMessage}`;
    case Code.Unknown:
      return `what answers at ${url} is no gateway: ${error.rawMessage}`;
    default:
      return error.rawMessage;
  }
}

export function countFrom(given: string): number {
  if (!/^[1-9]\d{0,5}$/.test(given)) throw new InvalidArgumentError('It is a number from 1 to 999999.');
  return Number(given);
}

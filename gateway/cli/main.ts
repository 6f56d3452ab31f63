/** `npm run causeway -- <command>`: what an operator does from a terminal. */
import { Command, Option } from 'commander';
import { identitySettings, platformSettings } from '#kit/platform-settings.ts';
import type { Caller } from '#kit/rpc/call.ts';
import { signToken } from '#kit/rpc/identity.ts';
import { readSettings, SettingsError } from '#kit/settings.ts';

const program = new Command('causeway')
  .description("Causeway's operator tool")
  .showHelpAfterError()
  .addHelpCommand(true);

program
  .command('token')
  .description('print a token for the development key, or for AUTH_SECRET where it is set')
  .addOption(
    new Option('--role <role>', 'what its holder may do').choices(['customer', 'operator']).makeOptionMandatory(),
  )
  .requiredOption('--subject <id>', "whom it stands for; a customer's subject is the customer id")
  .option('--expires <duration>', 'how long it is good for, such as 15m, 12h or 30d', '30d')
  .action(async ({ role, subject, expires }: { role: Caller['role']; subject: string; expires: string }) => {
    const { secret, ...origin } = identitySettings(readSettings(platformSettings, process.env));
    if (secret === undefined) {
      throw new SettingsError('tokens are checked with AUTH_JWKS_URL; only its issuer can make them');
    }
    process.stdout.write(`${await signToken({ subject, role }, secret, expires, origin)}\n`);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

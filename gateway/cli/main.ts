/** `npm run causeway -- <command>`: what an operator does from a terminal. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { identitySettings, platformSettings } from '#kit/platform-settings.ts';
import type { Caller } from '#kit/rpc/call.ts';
import { signToken } from '#kit/rpc/identity.ts';
import { readSettings, SettingsError } from '#kit/settings.ts';
import { auditCommand } from './audit.ts';
import { consumersCommand } from './consumers.ts';
import { deadLettersCommand } from './dead-letters.ts';
import { doctorCommand } from './doctor.ts';
import { eventsCommand } from './events.ts';
import { fulfilmentsCommand } from './fulfilments.ts';
import { newServiceCommand } from './new-service/command.ts';
import { ordersCommand } from './orders.ts';
import { projectionsCommand } from './projections.ts';
import { rebalancesCommand } from './rebalances.ts';
import { secretsCommand } from './secrets.ts';
import { servicesCommand } from './services.ts';
import { smokeCommand } from './smoke.ts';
import { streamsCommand } from './streams.ts';

const WHAT_ERASING_DOES = `Every key of the customer is destroyed, for ever: the e-mail, name and address in their
events can then be read by nobody, in no copy of a journal. Their orders stay, without these. Stop the customer's calls first:
a process that has the key in memory may use it for another minute. Views hold the data in the clear until they are
built anew, and backups of the keys still open it: see docs/operating.md.`;

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
  .requiredOption('--subject <id>', "whom it stands for; a customer's subject is the customer id", subjectFrom)
  .option('--expires <duration>', 'how long it is good for, such as 15m, 12h or 30d', durationFrom, '30d')
  .action(async ({ role, subject, expires }: { role: Caller['role']; subject: string; expires: string }) => {
    const { secret, ...origin } = identitySettings(readSettings(platformSettings, process.env));
    if (secret === undefined) {
      throw new SettingsError('tokens are checked with AUTH_JWKS_URL; only its issuer can make them');
    }
    process.stdout.write(`${await signToken({ subject, role }, secret, expires, origin)}\n`);
  });

program
  .command('erase-customer')
  .description('destroy the keys of a customer at the broker of NATS_URL, with PERSONAL_DATA_KEY')
  .requiredOption('--subject <id>', 'the customer id', subjectFrom)
  .option('--yes', 'do it: it cannot be undone', false)
  .addHelpText('after', `\n${WHAT_ERASING_DOES}`)
  .action(async ({ subject, yes }: { subject: string; yes: boolean }) => {
    const settings = readSettings(platformSettings, process.env);
    if (yes) {
      // Its broker's client takes longer to load than everything else here.
      const { eraseCustomer } = await import('./erase-customer.ts');
      process.stdout.write(`${await eraseCustomer(subject, settings)}\n`);
      return;
    }
    process.stderr.write(`This would erase customer ${subject}. ${WHAT_ERASING_DOES}\nNothing was done: say --yes.\n`);
    process.exitCode = 1;
  });

for (const group of [
  auditCommand(),
  deadLettersCommand(),
  fulfilmentsCommand(),
  newServiceCommand(),
  eventsCommand(),
  ordersCommand(),
  projectionsCommand(),
  secretsCommand(),
  servicesCommand(),
  rebalancesCommand(),
  streamsCommand(),
  consumersCommand(),
  doctorCommand(),
  smokeCommand(),
]) {
  for (const command of [group, ...group.commands]) command.copyInheritedSettings(program);
  program.addCommand(group);
}

// Who reads no further (`| head`) has what was wanted: that ends the program, and is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

/** As the platform takes it from a token: who mistypes here would get a token that nobody accepts. */
function subjectFrom(given: string): string {
  if (!/^[\x21-\x7e]{1,128}$/.test(given)) throw new InvalidArgumentError('It has 1 to 128 printable characters.');
  return given;
}

function durationFrom(given: string): string {
  if (!/^[1-9]\d*[smhd]$/.test(given)) throw new InvalidArgumentError('It is a duration such as 15m, 12h or 30d.');
  return given;
}

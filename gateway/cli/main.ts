/** `npm run causeway -- <command>`: what an operator does from a terminal. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { identitySettings, platformSettings } from '#kit/platform-settings.ts';
import type { Caller } from '#kit/rpc/call.ts';
import { signToken } from '#kit/rpc/identity.ts';
import { readSettings, SettingsError } from '#kit/settings.ts';
import { auditCommand } from './audit.ts';
import { autoscalingCommand } from './autoscaling.ts';
import { consumersCommand } from './consumers.ts';
import { deadLettersCommand } from './dead-letters.ts';
import { doctorCommand } from './doctor.ts';
import { eraseCustomerCommand, subjectFrom } from './erase-customer.ts';
import { eventsCommand } from './events.ts';
import { fulfilmentsCommand } from './fulfilments.ts';
import { newServiceCommand } from './new-service/command.ts';
import { ordersCommand } from './orders.ts';
import { permissionsCommand } from './permissions.ts';
import { projectionsCommand } from './projections.ts';
import { rebalancesCommand } from './rebalances.ts';
import { secretsCommand } from './secrets.ts';
import { servicesCommand } from './services.ts';
import { smokeCommand } from './smoke.ts';
import { streamsCommand } from './streams.ts';

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

for (const group of [
  auditCommand(),
  autoscalingCommand(),
  deadLettersCommand(),
  fulfilmentsCommand(),
  newServiceCommand(),
  eventsCommand(),
  ordersCommand(),
  permissionsCommand(),
  projectionsCommand(),
  secretsCommand(),
  servicesCommand(),
  rebalancesCommand(),
  streamsCommand(),
  consumersCommand(),
  doctorCommand(),
  smokeCommand(),
  eraseCustomerCommand(),
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

function durationFrom(given: string): string {
  if (!/^[1-9]\d*[smhd]$/.test(given)) throw new InvalidArgumentError('It is a duration such as 15m, 12h or 30d.');
  return given;
}

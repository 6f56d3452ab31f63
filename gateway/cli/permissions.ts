import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { print } from './printing.ts';

const root = new URL('../../', import.meta.url).pathname;

const WHAT_IT_WRITES = `One user for each service, which may do what the service's consumers, events and views need, and nothing else; and one for
this tool. It is made from what the services are put together from, and is to be written again when that changes.`;

/** `permissions`: what the broker lets each service do. */
export function permissionsCommand(): Command {
  return new Command('permissions')
    .description("write the broker's users and what each may do (deploy/nats/permissions.conf)")
    .addHelpText('after', `\n${WHAT_IT_WRITES}`)
    .action(async () => {
      // All services take longer to load than everything that other commands need.
      const { PERMISSIONS_FILE, permissionsConfiguration } = await import('./broker-permissions.ts');
      writeFileSync(join(root, PERMISSIONS_FILE), await permissionsConfiguration());
      print(PERMISSIONS_FILE);
    });
}

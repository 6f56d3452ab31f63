import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { print } from './printing.ts';

const root = new URL('../../', import.meta.url).pathname;

const WHAT_IT_WRITES = `One file for each service: at least two replicas, more where its reactions are behind or it computes a lot. Which consumers
there are is taken from what the services are put together from, so it is to be written again when a reaction comes or goes.`;

/** `autoscaling`: how many replicas of each service there are in production. */
export function autoscalingCommand(): Command {
  return new Command('autoscaling')
    .description('write how services are scaled in production (deploy/overlays/production/autoscaling)')
    .addHelpText('after', `\n${WHAT_IT_WRITES}`)
    .action(async () => {
      // All services take longer to load than everything that other commands need.
      const [{ serviceDescriptions }, { scalingFiles }] = await Promise.all([
        import('./broker-permissions.ts'),
        import('./scaled-object.ts'),
      ]);
      for (const [path, text] of scalingFiles(await serviceDescriptions())) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), text);
        print(path);
      }
    });
}

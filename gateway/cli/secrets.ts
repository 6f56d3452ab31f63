import { Command } from 'commander';
import { counted, print, tell } from './printing.ts';

type Options = { mongodbUsers: boolean };

const WHAT_IT_WRITES = `One directory for each service, with its user at the broker (nats.nk, a seed) and its address of the database
(mongodb-uri, with a user of its own); keys/ with the master key of personal data and the secret of tokens; nats/nkeys.env with
the public keys that the broker's configuration asks for, nats/cluster.env with what several brokers know each other by; operator/ with the user of this tool at the broker (NATS_CREDS);
mongodb/ with the passwords that the database is set up with; and kustomization.yaml, with which kubectl makes Secrets of them.

Files are readable by their owner only, and none that is there is written over: run it again after a new service was added. The
public keys are made from the seeds each time. Keep a copy of keys/personal-data-key where no other copy of the data is: without
it no personal data can be read.`;

/** `secrets`: what the platform keeps secret, a file each. */
export function secretsCommand(): Command {
  return new Command('secrets')
    .description('write the secrets that the platform needs and are not there yet, a file each')
    .argument('<directory>', 'where they are written')
    .option('--without-mongodb-users', 'addresses of the database without a user: a stand-in for MongoDB knows none')
    .addHelpText('after', `\n${WHAT_IT_WRITES}`)
    .action((directory: string, { withoutMongodbUsers = false }: { withoutMongodbUsers?: boolean }) =>
      secrets(directory, { mongodbUsers: !withoutMongodbUsers }),
    );
}

async function secrets(directory: string, { mongodbUsers }: Options): Promise<void> {
  // The contracts behind the gateway take longer to load than everything else here.
  const [{ services }, { writeSecretFiles }] = await Promise.all([
    import('../services.ts'),
    import('./secret-files.ts'),
  ]);
  const written = await writeSecretFiles(directory, { services: Object.keys(services), mongodbUsers });
  for (const path of written) print(path);
  tell(
    written.length === 0
      ? `${directory} has everything: nothing was written`
      : `wrote ${counted(written.length, 'file')} to ${directory}`,
  );
}

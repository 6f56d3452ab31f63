import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { asOperator, type CallingOptions, calling, oneAnswer } from './gateway-client.ts';
import { print } from './printing.ts';

const WHAT_ERASING_DOES = `Every key of the customer is destroyed, for ever: the e-mail, name and address in their
events can then be read by nobody, in no copy of a journal. Views, captured e-mails and whatever else holds them in the clear
lose them within seconds. Their orders stay, without these; one that is not on its way yet is undone. Backups of the
keys and of the database still hold them: see docs/operating.md.`;

type EraseOptions = CallingOptions & { subject: string; because: string; yes: boolean; requestId?: string };

/** `erase-customer`: what a customer may ask for. */
export function eraseCustomerCommand(): Command {
  return calling(
    new Command('erase-customer')
      .description("destroy the keys of a customer's personal data, and have every service forget it")
      .requiredOption('--subject <id>', 'the customer id', subjectFrom)
      .option('--because <why>', 'why, for the record; nothing personal', 'the customer asked for it')
      .option('--request-id <id>', 'the same one again has no second effect')
      .option('--yes', 'do it: it cannot be undone', false)
      .addHelpText('after', `\n${WHAT_ERASING_DOES}`),
    '--subject alice --yes',
  ).action(eraseCustomer);
}

async function eraseCustomer({ subject, because, yes, requestId, json, ...calls }: EraseOptions): Promise<void> {
  if (!yes) {
    process.stderr.write(`This would erase customer ${subject}. ${WHAT_ERASING_DOES}\nNothing was done: say --yes.\n`);
    process.exitCode = 1;
    return;
  }
  const request = { customerId: subject, note: because, requestId: requestId ?? randomUUID() };
  const { keysDestroyed } = await asOperator(OperationsService, calls, (client) =>
    client.eraseCustomer(request, oneAnswer),
  );
  if (json) print(JSON.stringify({ customerId: subject, keysDestroyed }));
  else if (keysDestroyed === 0) print(`customer ${subject} was erased before; there was no key left to destroy`);
  else print(`destroyed ${keysDestroyed} ${keysDestroyed === 1 ? 'key' : 'keys'} of customer ${subject}`);
}

/** As the platform takes it from a token: who mistypes here would get a token that nobody accepts. */
export function subjectFrom(given: string): string {
  if (!/^[\x21-\x7e]{1,128}$/.test(given)) throw new InvalidArgumentError('It has 1 to 128 printable characters.');
  return given;
}

// A process whose consumer dies of certain deposits, run by kit/poison.test.ts. Says each amount that it finishes.
import { type MoneyDeposited, MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { connectBroker } from '#kit/broker.ts';
import { KeyedConsumer } from '#kit/consumer.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import { silent } from '#kit/telemetry/logging.ts';

const [url = '', service = '', partition = '', deadly = '', ending = ''] = process.argv.slice(2);
const broker = await connectBroker({ url, name: 'fragile' });
const consumer = new KeyedConsumer<MoneyDeposited>(
  {
    name: 'thank-on-deposit',
    sources: [{ journal: journalOf(service), aggregate: 'account' }],
    begins: 'with-the-first-event',
    types: new EventTypes([MoneyDepositedSchema]),
    async handle({ data: { amount } }) {
      if (String(amount) === deadly) {
        if (ending === 'SIGKILL') process.kill(process.pid, 'SIGKILL');
        process.exit(1);
      }
      console.log(String(amount));
    },
  },
  { service, broker, logger: silent, personalData: { find: async () => undefined } },
);
await consumer.own([Number(partition)]);

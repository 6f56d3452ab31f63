import { expect, test } from 'vitest';
import { MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { connectBroker } from './broker.ts';
import { describedService, describeService, readDescriptions } from './service-descriptions.ts';
import { journalOf } from './streams.ts';
import { atTheEnd, ownNats } from './testing/servers.ts';

const nats = await ownNats();

async function ownBroker() {
  const broker = await connectBroker({ url: nats.url, name: 'descriptions' });
  atTheEnd(() => broker.close());
  return broker;
}
const broker = await ownBroker();

test('where no service ever started, there are no descriptions', async () => {
  expect(await readDescriptions(broker)).toEqual([]);
});

test('each service is described by its latest start, and what is no description is left out', async () => {
  const eventTypes = [MoneyDepositedSchema.typeName];
  const says = (aggregate: string) => ({ says: () => ({ journal: journalOf('bank'), aggregate, eventTypes }) });
  const bank = describedService('bank', [says('account'), says('card')], []);
  const teller = describedService('teller', [], []);
  await describeService(broker, teller);
  await describeService(broker, { ...bank, publishes: [] });
  await describeService(broker, bank);
  await broker.js.publish('$KV.services.broken', '{');

  expect(await readDescriptions(broker)).toEqual([bank, teller]);
  expect(bank).toMatchObject({
    journals: [{ stream: 'BANK' }],
    publishes: [
      { stream: 'BANK', aggregate: 'account', eventTypes },
      { stream: 'BANK', aggregate: 'card', eventTypes },
    ],
  });
});

import { expect, test } from 'vitest';
import { MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { connectBroker } from './broker.ts';
import { describeService, publicationOf, readDescriptions } from './service-descriptions.ts';
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
  const publishes = [publicationOf('BANK', { name: 'account', events: { MoneyDeposited: MoneyDepositedSchema } })];
  await describeService(broker, { service: 'teller', publishes: [], consumers: [] });
  await describeService(broker, { service: 'bank', publishes: [], consumers: [] });
  await describeService(broker, { service: 'bank', publishes, consumers: [] });
  await broker.js.publish('$KV.services.broken', '{');

  expect(await readDescriptions(broker)).toEqual([
    { service: 'bank', publishes, consumers: [] },
    { service: 'teller', publishes: [], consumers: [] },
  ]);
  expect(publishes[0]?.eventTypes).toEqual([MoneyDepositedSchema.typeName]);
});

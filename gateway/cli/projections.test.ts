import { beforeAll, expect, test } from 'vitest';
import { ensureJournals } from '#kit/journal.ts';
import { journalOf } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { operations } from '../../services/operations/operations.ts';
import { gatewayTo } from './testing/gateway.ts';
import { runCauseway } from './testing/run.ts';

let url: string;

beforeAll(async () => {
  const nats = await ownNats();
  const parts = await openTestParts('operations', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
  await ensureJournals(parts.broker, [journalOf('orders'), journalOf('fulfilment')]);
  const gateway = await gatewayTo(await operations({ ...parts, viewLeaseMs: 200 }));
  url = gateway.url;
  return gateway.stop;
});

const causeway = (...words: string[]) => runCauseway(['projections', ...words], { CAUSEWAY_URL: url });

test('a view is built anew, compared, switched to and discarded from a terminal', async () => {
  const view = ['operations', 'fulfilments'];
  const listed = await causeway();
  expect(listed).toMatchObject({ status: 0, stderr: '' });
  expect(listed.stdout).toMatch(/^SERVICE +VIEW +VERSION +BUILD +STATUS +DOCUMENTS +BEHIND +STARTED/);
  expect(listed.stdout).toMatch(/^operations +fulfilments +v\d+ +1 +active +0 +0 /m);

  const built = await causeway('rebuild', ...view, '--wait', '--because', 'to see it');
  expect(built.status).toBe(0);
  expect(built.stderr).toMatch(/^build 2: 100 %, 0 of 0 events left/);
  expect(built.stdout).toMatch(/^operations +fulfilments +v\d+ +2 +caught up /m);

  expect(await causeway('compare', ...view)).toMatchObject({
    status: 0,
    stdout: '0 documents: 0 same, 0 different, 0 missing, 0 extra\n',
  });
  expect((await causeway('switch', ...view, '--json')).stdout).toMatch(/"build":2,"status":"BUILD_STATUS_ACTIVE"/);
  const unsure = await causeway('discard', ...view);
  expect(unsure).toMatchObject({ status: 1, stdout: '' });
  expect(unsure.stderr).toMatch(/discard build 1 of fulfilments.*\n.*--yes/);
  const discarded = await causeway('discard', ...view, '--yes');
  expect(discarded.status).toBe(0);
  expect(discarded.stdout).not.toMatch(/previous/);
});

test('what is not there is said, and ends with 1', async () => {
  expect(await causeway('switch', 'operations', 'nothing')).toMatchObject({
    status: 1,
    stderr: 'operations has no view nothing, or does not answer\n',
  });
  expect(await causeway('roll-back', 'operations', 'pulse')).toMatchObject({
    status: 1,
    stderr: 'pulse has no build that is previous\n',
  });
});

import { randomUUID } from 'node:crypto';
import type { Locator, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { describeService } from '#kit/service-descriptions.ts';
import { openTestParts, testMasterKey } from '#kit/testing/servers.ts';
import { openShop } from '../../services/operations/testing/shop.ts';
import { type Client, grpcAs, ordersOf } from '../clients.ts';
import { nothingFollows, testPlatform } from '../platform.ts';
import { testBrowser, visit } from './visitor.ts';

const { OPERATIONS_URL: _, ...onlyOrders } = nothingFollows;
const environment = { ...onlyOrders, PERSONAL_DATA_KEY: testMasterKey.toString('hex') };
const [platform, browser] = await Promise.all([testPlatform({ environment }), testBrowser()]);
const parts = await openTestParts('shop', { natsUrl: platform.nats.url, mongodbUri: platform.mongodbUri });

const row = (page: Page, text: string | RegExp) => page.getByRole('row').filter({ hasText: text });
const rows = (region: Page | Locator) => region.getByRole('table').last().getByRole('row');

/** Counts the calls of a method that a page makes. */
function callsOf(page: Page, method: string): { made: number } {
  const calls = { made: 0 };
  page.on('request', (request) => {
    if (request.url().endsWith(`/${method}`)) calls.made++;
  });
  return calls;
}

test('a poison message is looked at, edited, tried and replayed: its key goes on in order, and no other was held up', async () => {
  const shop = await openShop(parts, ({ paymentMethod }) => paymentMethod === 'pm-1');
  const methodsOf = (key: string) =>
    shop.handled.filter(({ orderId }) => orderId === key).map(({ paymentMethod }) => paymentMethod);
  const key = await shop.park(3);
  const other = randomUUID();
  await shop.place(other, 'pm-2');
  await expect.poll(() => methodsOf(other)).toEqual(['pm-2']);
  const page = await visit(browser, platform, 'olga', { path: '/dead-letters' });
  const replays = callsOf(page, 'ReplayDeadLetters');

  await page.getByText('1 key with 3 parked messages').waitFor();
  await row(page, shop.name).getByText('pm-1 is refused').waitFor();
  await page.getByRole('link', { name: shop.name }).click();
  await page.getByRole('link', { name: key }).click();
  await page.getByRole('region', { name: 'Why it is parked' }).getByText('pm-1 is refused').waitFor();
  // A head, and what waits.
  expect(await rows(page.getByRole('region', { name: 'Behind it' })).count()).toBe(1 + 2);

  const editor = page.getByLabel('As JSON');
  const replay = page.getByRole('button', { name: 'Replay as edited…' });
  const original = await editor.inputValue();
  expect(original).not.toContain('alice@example.org');
  await editor.fill(original.replace('"pm-1"', '1'));
  const line = original.slice(0, original.indexOf('"pm-1"')).split('\n').length;
  await page
    .getByRole('alert')
    .filter({ hasText: `Line ${line}, column 20: expected string` })
    .waitFor();
  expect(await editor.getAttribute('aria-invalid')).toBe('true');
  expect(await replay.isDisabled()).toBe(true);
  await editor.fill(original.replace('pm-1', 'pm-mended'));
  await replay.click();
  const dialog = page.getByRole('dialog', { name: 'Replay as edited' });
  expect(replays.made).toBe(0);
  await dialog.getByRole('button', { name: 'Dry run' }).click();
  await dialog.getByText('1 key would be replayed; nothing was done.').waitFor();
  expect(methodsOf(key)).toEqual([]);

  await dialog.getByLabel('Why, for the record').fill('the method had a slip');
  await dialog.getByRole('button', { name: 'Replay', exact: true }).click();
  await dialog.getByText('The end: 1 of 1 key done, 3 messages handled.').waitFor();
  expect(await dialog.getByRole('progressbar', { name: 'Keys done' }).getAttribute('value')).toBe('1');
  expect(methodsOf(key)).toEqual(['pm-mended', 'pm-2', 'pm-3']);
  expect(replays.made).toBe(2);
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await page.getByRole('link', { name: 'All that is parked' }).click();
  await page.getByText('Nothing is parked: all is well.').waitFor();
});

test('a letter is discarded with a reason, and it stands on record who did what and why', async () => {
  const shop = await openShop(parts);
  const key = await shop.park(2);
  const page = await visit(browser, platform, 'otto', { path: `/dead-letters?consumer=${shop.name}` });

  await page.getByRole('link', { name: key }).click();
  await page.getByRole('button', { name: 'Discard' }).click();
  const dialog = page.getByRole('dialog', { name: 'Discard' });
  const discard = dialog.getByRole('button', { name: 'Discard for ever' });
  expect(await discard.isDisabled()).toBe(true);
  await dialog.getByLabel('Why, for the record').fill('nobody needs a greeting any more');
  await discard.click();
  await page.getByText('2 messages of 1 key thrown away.').waitFor();
  await page.getByRole('button', { name: 'Close' }).last().click();

  await page.goto(`${platform.http}/dead-letters`);
  await page.getByRole('link', { name: 'What operators did' }).click();
  const act = page.getByRole('listitem').filter({ hasText: shop.name }).first();
  await act.getByText('nobody needs a greeting any more').waitFor();
  expect(await act.textContent()).toMatch(/discard.*otto/i);
  expect(shop.handled).toEqual([]);
});

test('a view is rebuilt, compared, switched and rolled back from the page, and no reader sees a gap or an older state', async () => {
  const alice = ordersOf(await grpcAs(platform, 'alice'));
  const readers = await underLoad(alice, await grpcAs(platform, 'alice'));
  const page = await visit(browser, platform, 'olga', { path: '/projections' });
  const build = (number: number) => row(page, /orders of orders/).filter({ hasText: `build ${number}, begun` });
  const act = async (name: string, button: string) => {
    await page.getByRole('button', { name, exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Why, for the record').fill('to see it');
    await dialog.getByRole('button', { name: button, exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
  };

  await build(1).getByText('What readers see').waitFor();
  await act('Rebuild orders of orders, build 1', 'Rebuild');
  await build(2)
    .getByText(/events? left/)
    .waitFor();
  await build(2).getByText('Ready to switch').waitFor();
  expect(await build(2).textContent()).toContain('by olga');

  await page.getByRole('button', { name: 'Compare orders of orders, build 2', exact: true }).click();
  const comparison = page.getByRole('dialog');
  await comparison.getByText('Readers would see no difference').waitFor();
  const counts = (await comparison.locator('dl.counts dd').allTextContents()).map(Number);
  expect(counts[0]).toBeGreaterThan(0);
  expect(counts.slice(1, 4)).toEqual([0, 0, 0]);
  await comparison.getByRole('button', { name: 'Close' }).click();

  await act('Switch orders of orders, build 2', 'Switch');
  await build(2).getByText('What readers see').waitFor();
  await readers.haveGoneOn();
  await act('Roll back orders of orders, build 1', 'Roll back');
  await build(1).getByText('What readers see').waitFor();
  await readers.haveGoneOn();
  await readers.stop();
}, 120_000);

test('the overview says which service is away, and shows the others', async () => {
  await describeService(parts.broker, { service: 'payments', journals: [], publishes: [], consumers: [] });
  const page = await visit(browser, platform, 'olga');

  const health = page.getByRole('region', { name: 'Health' });
  await health.getByRole('listitem').filter({ hasText: 'payments: is away' }).waitFor();
  const map = page.getByRole('group', { name: /^Map of the flow/ });
  expect(await map.getByRole('button', { name: /^Service payments/ }).textContent()).toContain('away');
  expect(await map.getByRole('button', { name: /^Service orders up/ }).count()).toBe(1);
});

test('who owns which partition of a service is seen in its details, with since when and how it came to be so', async () => {
  const page = await visit(browser, platform, 'olga');
  const map = page.getByRole('group', { name: /^Map of the flow/ });
  await map.getByRole('button', { name: /^Service orders/ }).click();

  const details = page.getByRole('region', { name: 'Details' });
  await details.getByText(/partitions 0, 1, 2, 3, 4, 5, 6, 7 since .+ ago/).waitFor();
  await details.getByText('Who owned what, of the last day').click();
  const changes = details.getByRole('list', { name: 'Changes of ownership' });
  await changes.getByText('got 0, 1, 2, 3, 4, 5, 6, 7').waitFor();
  await changes.getByText(/one of 1 instance, owned 0, 1, 2, 3, 4, 5, 6, 7 then/).waitFor();
});

/** Orders are placed and cancelled, while others read: what was once seen must stay, and go no step back. */
async function underLoad(alice: ReturnType<typeof ordersOf>, reader: Client) {
  const reading = ordersOf(reader);
  const seen = new Map<string, bigint>();
  let [isOver, rounds, placed] = [false, 0, 0];
  const see = (order: { orderId: string; version: bigint } | undefined) => {
    if (order === undefined) throw new Error('an order has vanished');
    expect(order.version).toBeGreaterThanOrEqual(seen.get(order.orderId) ?? 0n);
    seen.set(order.orderId, order.version);
  };
  const write = async () => {
    while (!isOver) {
      const { orderId } = await alice.place();
      if (placed++ % 3 === 0) await alice.cancel(orderId);
    }
  };
  const read = async () => {
    while (!isOver) {
      const before = [...seen.keys()];
      const listed = (await reading.list({ pageSize: 100 })).orders;
      listed.forEach(see);
      // Of those that were seen before, the latest: whatever is newer in the list comes before them.
      for (const orderId of before.slice(-20)) see(await reading.get(orderId));
      rounds++;
    }
  };
  const all = Promise.all([write(), write(), read()]);
  // Looked at when it is stopped.
  all.catch(() => {});
  const haveGoneOn = () => {
    const from = rounds;
    return expect.poll(() => rounds).toBeGreaterThan(from + 1);
  };
  await haveGoneOn();
  return {
    haveGoneOn,
    stop: async () => {
      isOver = true;
      await all;
    },
  };
}

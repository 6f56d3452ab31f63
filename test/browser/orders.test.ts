import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { all, connectClient, ordersOf, refusal } from '../clients.ts';
import { bearer, nothingFollows, testPlatform } from '../platform.ts';
import { testBrowser, tokenOf, visit, visitAsStranger } from './visitor.ts';

const [platform, browser] = await Promise.all([
  testPlatform({ environment: { CARRIER_DELIVERS_AFTER: '1s' } }),
  testBrowser(),
]);

const empty: Record<string, string> = {
  '/': 'All is well',
  '/orders': 'There are no orders yet: place one.',
  '/fulfilments': 'No order has been fulfilled yet.',
  '/dead-letters': 'Nothing is parked: all is well.',
  '/dead-letters?show=acts': 'No operator has done anything yet',
  '/projections': 'up to date',
  '/events?stream=PAYMENTS': 'Nothing was found.',
};

const timeline = (page: Page) => page.getByRole('list', { name: 'Events in causal order' });
const now = (page: Page) => page.getByRole('region', { name: 'The order now' });
const slider = (page: Page) => page.getByRole('slider', { name: "Moment in the order's history" });

test('a platform on which nothing has happened yet says so on each page', async () => {
  const page = await visit(browser, platform, 'olga');

  for (const [path, text] of Object.entries(empty)) {
    await page.goto(`${platform.http}${path}`);
    await page.getByText(text).first().waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
  }
});

test('a customer signs in, places an order, and watches it complete; what was can be looked at again', async () => {
  const page = await visitAsStranger(browser, platform);
  let loads = 0;
  page.on('load', () => loads++);

  await page.getByLabel('Your token').fill('no token at all');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('not a token').waitFor();
  await page.getByLabel('Your token').fill(await tokenOf('alice', 'customer'));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('There are no orders yet: place one.').waitFor();

  await page.getByRole('button', { name: 'Place an order' }).click();
  const dialog = page.getByRole('dialog', { name: 'Place an order' });
  await dialog.getByRole('spinbutton', { name: /^Coffee beans/ }).fill('2');
  await dialog.getByLabel('E-mail').fill('nobody');
  await dialog.getByRole('button', { name: 'Place the order' }).click();
  await expect.poll(() => dialog.getByLabel('E-mail').getAttribute('aria-invalid')).toBe('true');
  await dialog.getByLabel('E-mail').fill('alice@example.com');
  await dialog.getByRole('button', { name: 'Place the order' }).click();

  await timeline(page).getByRole('button', { name: 'Order placed' }).waitFor();
  // The order's own, and what other systems are told.
  await expect.poll(() => timeline(page).getByRole('button', { name: 'Order completed' }).count()).toBe(2);
  await now(page).getByText('Completed').waitFor();
  expect(await now(page).textContent()).toContain('2 × Coffee beans');
  for (const event of ['Stock reserved', 'Payment authorized', 'Shipment dispatched', 'Payment captured']) {
    expect(await timeline(page).getByRole('button', { name: event }).count()).toBe(1);
  }
  expect(loads).toBe(0);

  await slider(page).press('Home');
  const moment = page.getByRole('region', { name: 'What happened' });
  await moment.getByText(/event 1 of \d+/).waitFor();
  expect(await moment.locator('.moment').textContent()).toMatch(/^Placed.*37\.00/);
  expect(await timeline(page).locator('[aria-current=step]').textContent()).toContain('Order placed');
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await expect.poll(() => moment.locator('.moment').textContent()).toMatch(/^Completed/);

  await page.reload();
  await timeline(page).getByRole('button', { name: 'Order completed' }).first().waitFor();
  await page.getByRole('button', { name: /^alice/ }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Your token').waitFor();
  await page.reload();
  await page.getByLabel('Your token').waitFor();
  expect(await page.evaluate(() => [...Object.values(sessionStorage), ...Object.values(localStorage)])).toEqual([]);
});

test("a customer sees neither another's order nor what is for operators, whatever address is typed", async () => {
  const alice = ordersOf(connectClient(platform, await bearer('alice')));
  const { orderId, position } = await alice.place();
  await alice.get(orderId, position);
  const page = await visit(browser, platform, 'bob', { role: 'customer' });

  await page.getByText('There are no orders yet').waitFor();
  expect(await page.getByRole('navigation', { name: 'Pages' }).getByRole('link').allTextContents()).toEqual(['Orders']);
  for (const path of ['/fulfilments', '/dead-letters', '/projections', '/events', '/events/ORDERS/1']) {
    await page.goto(`${platform.http}${path}`);
    await page.getByRole('heading', { name: 'There is nothing here' }).waitFor();
  }
  await page.goto(`${platform.http}/orders/${orderId}`);
  await page.getByText(`there is no order ${orderId}`).first().waitFor();
  expect(await timeline(page).count()).toBe(0);
  expect(await page.locator('body').textContent()).not.toContain('Ada King');

  // The page protects nothing: whoever asks without it is refused too.
  const bob = connectClient(platform, await bearer('bob'));
  const { listFulfilments, listDeadLetterGroups, searchEvents, watchOverview } = OperationsService.method;
  expect(await refusal(ordersOf(bob).get(orderId))).toMatchObject({ code: 'NOT_FOUND' });
  expect(await refusal(all(bob.stream(OrderService.method.watchOrder, { orderId })))).toMatchObject({
    code: 'NOT_FOUND',
  });
  for (const method of [listFulfilments, listDeadLetterGroups, searchEvents]) {
    expect(await refusal(bob.call(method as typeof listFulfilments, {}))).toMatchObject({ code: 'PERMISSION_DENIED' });
  }
  expect(await refusal(all(bob.stream(watchOverview, {})))).toMatchObject({ code: 'PERMISSION_DENIED' });
});

test('a service that is away takes its own part of a page only', async () => {
  const alone = await testPlatform({ environment: nothingFollows });
  const { orderId } = await ordersOf(connectClient(alone, await bearer('alice'))).place();
  const page = await visit(browser, alone, 'olga', { path: `/orders/${orderId}` });

  for (const card of ['Payment', 'Shipment', 'Fulfilment', 'E-mails']) {
    await page
      .getByRole('region', { name: card, exact: true })
      .getByRole('alert')
      .getByText('Not available now')
      .waitFor();
  }
  expect(await timeline(page).getByRole('button', { name: 'Order placed' }).count()).toBe(1);
  expect(await now(page).textContent()).toContain('2 × Coffee beans');
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.getByRole('alert').getByText('Not available now').waitFor();
  await page.getByRole('link', { name: 'Orders' }).click();
  await page.getByRole('link', { name: orderId }).waitFor();
});

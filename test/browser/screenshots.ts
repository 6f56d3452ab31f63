/** `npm run screenshots`: a platform that has been busy for some minutes, and a picture of each page of its console. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { onTestFinished, test, vi } from 'vitest';
import { FulfilmentStatus, OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { openTestParts, testMasterKey } from '#kit/testing/servers.ts';
import { type Client, grpcAs, ordersOf } from '../clients.ts';
import { testPlatform } from '../platform.ts';
import { addLoyalty, keepOrdering, orderOf } from './busy-platform.ts';
import { openConsole } from './chromium.ts';
import { testBrowser, tokenOf } from './visitor.ts';

const FOLDER = join(import.meta.dirname, '../../docs/screenshots');
/** Until the platform is looked at. SCREENSHOTS_AFTER_S changes it, to try something. */
const BUSY_MS = 1_000 * Number(process.env.SCREENSHOTS_AFTER_S ?? 240);
const PER_SECOND = 3;

const environment = {
  CARRIER_DELIVERS_AFTER: '6s',
  DEADLINE_PAYMENT: '45s',
  PERSONAL_DATA_KEY: testMasterKey.toString('hex'),
};
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 1.5 };
const tall = { viewport: { width: 1280, height: 960 } };
const taller = { viewport: { width: 1280, height: 1080 } };
const calmMap = { viewport: { width: 1280, height: 950 }, deviceScaleFactor: 1 };
const troubledMap = { ...taller, deviceScaleFactor: 1 };

const { rebuildProjection, listDeadLetters, discardDeadLetters, listFulfilments } = OperationsService.method;

test('pictures of a busy platform', async () => {
  const [platform, browser] = await Promise.all([testPlatform({ environment }), testBrowser()]);
  const operator = await grpcAs(platform, 'olga', 'operator');
  const orders = ordersOf(operator);
  const over = new AbortController();
  const ordering = keepOrdering(orders, PER_SECOND, over.signal);
  onTestFinished(() => {
    over.abort();
    return ordering;
  });
  await addLoyalty(await openTestParts('loyalty', { natsUrl: platform.nats.url, mongodbUri: platform.mongodbUri }));
  await delay(BUSY_MS / 2);
  // One build that was switched to, for what can be done with the one before it.
  const rebuild = { service: 'orders', view: 'orders', switchWhenCaughtUp: true, requestId: randomUUID() };
  await operator.call(rebuildProjection, { ...rebuild, reason: 'a field was added' });
  await delay(BUSY_MS / 2);

  const token = await tokenOf('olga', 'operator');
  const take = async (
    name: string,
    path: string,
    until: (page: Page) => Promise<unknown>,
    look?: BrowserContextOptions,
  ) => {
    const page = await openConsole(browser, platform.http, {
      token,
      path,
      deviceScaleFactor: 1.25,
      reducedMotion: 'reduce',
      colorScheme: 'light',
      ...look,
    });
    await until(page);
    await page.screenshot({ path: join(FOLDER, `${name}.png`), animations: 'disabled' });
    await page.context().close();
  };

  // All is well so far, and stays so for nobody.
  await take('overview-light', '/', ratesAreKnown, calmMap);
  for (const number of [1, 2, 3])
    await orders.place(orderOf(number, { sku: 'espresso-cup', quantity: 40 + number, paymentMethod: 'pm_ok' }));
  for (const number of [4, 5])
    await orders.place(orderOf(number, { sku: 'grinder', paymentMethod: 'pm_capture_refused' }));
  const parked = await settled(operator);
  await discardOne(operator);
  await take('overview-dark', '/', ratesAreKnown, { ...troubledMap, colorScheme: 'dark' });
  await take('overview-phone', '/', ratesAreKnown, phone);
  await take('orders', '/orders', shows('Espresso cup'));
  const { orderId } = await orders.place(orderOf(8, { sku: 'coffee-beans', paymentMethod: 'pm_flaky' }));
  const order = `/orders/${orderId}`;
  await take('order', order, shows('Order completed'), tall);
  await take('order-phone', order, shows('Order completed'), phone);
  await take(
    'order-in-the-past',
    order,
    async (page) => {
      await shows('Order completed')(page);
      const slider = page.getByRole('slider');
      await slider.press('Home');
      for (let step = 0; step < 5; step++) await slider.press('ArrowRight');
      await page.getByText(/event 6 of/).waitFor();
    },
    tall,
  );
  await take('fulfilments', '/fulfilments', (page) =>
    page.getByRole('cell').getByText('Waits for payment').first().waitFor(),
  );
  await take('dead-letters', '/dead-letters', shows('more points than an account can hold'));
  await take(
    'dead-letter',
    `/dead-letters?letter=${parked}`,
    async (page) => {
      await page.getByLabel('As JSON').waitFor();
      const text = await page.getByLabel('As JSON').inputValue();
      await page.getByLabel('As JSON').fill(text.replace(/"quantity": \d+/, '"quantity": "many"'));
      await page.getByText(/column \d+/).waitFor();
      await page.getByRole('heading', { level: 1 }).click();
    },
    taller,
  );
  await take(
    'projections',
    '/projections',
    async (page) => {
      await page.getByRole('button', { name: 'Rebuild history of orders, build 1' }).click();
      await page.getByLabel('Why, for the record').fill('a field was added');
      await page.getByRole('button', { name: 'Rebuild', exact: true }).click();
      await page.getByRole('progressbar').evaluate((bar) => bar.scrollIntoView({ block: 'center' }));
      await page.mouse.move(0, 0);
    },
    tall,
  );
  await take('events', '/events', shows('Order placed'));
  await take('catalogue', '/events?show=catalogue', shows('Order placed'));
});

const shows = (text: string | RegExp) => (page: Page) => page.getByText(text).first().waitFor();

/** A second look tells what has flowed since the first. */
async function ratesAreKnown(page: Page): Promise<void> {
  await page.getByText('Completed within').waitFor();
  const at = page.getByText('Live, as of');
  const first = await at.textContent();
  for (let looks = 0; looks < 3; looks++) {
    const before = looks === 0 ? first : await at.textContent();
    await vi.waitFor(
      async () => {
        if ((await at.textContent()) === before) throw new Error('it is looked at every two seconds');
      },
      { timeout: 20_000 },
    );
  }
}

/** Waits until what goes wrong has gone wrong. @returns a letter with others behind it. */
async function settled(operator: Client): Promise<bigint> {
  return vi.waitFor(
    async () => {
      const { fulfilments } = await operator.call(listFulfilments, { status: FulfilmentStatus.NEEDS_ATTENTION });
      const { keys } = await operator.call(listDeadLetters, {});
      const whole = keys.filter(({ messages }) => Number(messages) === 4);
      if (fulfilments.length < 2 || whole.length < 3) throw new Error('not yet');
      return whole[0]?.first?.sequence ?? 0n;
    },
    { timeout: 60_000, interval: 200 },
  );
}

/** What operators did is on record. */
async function discardOne(operator: Client): Promise<void> {
  const { keys } = await operator.call(listDeadLetters, {});
  const [, , last] = keys;
  if (last === undefined) return;
  const filter = { consumer: last.consumer, key: last.key };
  await operator.call(discardDeadLetters, { filter, reason: 'was cancelled by telephone', requestId: randomUUID() });
}

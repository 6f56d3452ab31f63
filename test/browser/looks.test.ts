import { randomUUID } from 'node:crypto';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test, vi } from 'vitest';
import { FulfilmentStatus, OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { BuildStatus } from '#gen/causeway/operations/v1/projections_pb.js';
import { openTestParts, testMasterKey } from '#kit/testing/servers.ts';
import { openShop, type Shop } from '../../services/operations/testing/shop.ts';
import { type Client, grpcAs, ordersOf } from '../clients.ts';
import { testPlatform } from '../platform.ts';
import { axeFindings } from './axe.ts';
import { testBrowser, visit, visitAsStranger } from './visitor.ts';

const environment = { CARRIER_DELIVERS_AFTER: '1s', PERSONAL_DATA_KEY: testMasterKey.toString('hex') };
const [platform, browser] = await Promise.all([testPlatform({ environment }), testBrowser()]);
const parts = await openTestParts('shop', { natsUrl: platform.nats.url, mongodbUri: platform.mongodbUri });

// One for all: what was loaded once is there for the next page.
const context = await browser.newContext({ locale: 'en-GB', reducedMotion: 'reduce' });

const patience = { timeout: 30_000, interval: 100 };

let shop: Shop;
let completed: string;
let parked: string;

beforeAll(async () => {
  const olga = await grpcAs(platform, 'olga', 'operator');
  const alice = ordersOf(await grpcAs(platform, 'alice'));
  const methods = ['pm_ok', 'pm_declined', 'pm_capture_refused'];
  const placed = await Promise.all(methods.map((paymentMethod) => alice.place({ paymentMethod })));
  completed = placed[0]?.orderId ?? '';
  shop = await openShop(parts);
  [parked] = await Promise.all([shop.park(2), discarded(olga), readyToSwitch(olga)]);
  const { listFulfilments } = OperationsService.method;
  const stands = async () => (await olga.call(listFulfilments, {})).fulfilments.map(({ status }) => status).sort();
  const { COMPLETED, FAILED, NEEDS_ATTENTION } = FulfilmentStatus;
  await vi.waitFor(async () => expect(await stands()).toEqual([COMPLETED, FAILED, NEEDS_ATTENTION].sort()), patience);
});

/** An act of an operator that stands on record. */
async function discarded(olga: Client): Promise<void> {
  const key = await shop.park(1);
  const filter = { consumer: shop.name, key };
  await olga.call(OperationsService.method.discardDeadLetters, { filter, reason: 'a test', requestId: randomUUID() });
}

/** A build beside the one that readers see. */
async function readyToSwitch(olga: Client): Promise<void> {
  const { rebuildProjection, listProjections } = OperationsService.method;
  await olga.call(rebuildProjection, { service: 'orders', view: 'orders', reason: 'a test', requestId: randomUUID() });
  const statuses = async () =>
    (await olga.call(listProjections, {})).projections.flatMap(({ builds }) => builds.map(({ status }) => status));
  await vi.waitFor(async () => expect(await statuses()).toContain(BuildStatus.CAUGHT_UP), patience);
}

/** A page as it is when somebody has done something there: what lies below an open dialog is looked at too. */
type Place = {
  name: string;
  path: string | (() => string);
  shows: string | RegExp;
  act?: (page: Page) => Promise<void>;
};

const click = (name: string | RegExp) => (page: Page) => page.getByRole('button', { name }).first().click();
const letterOfParked = async (page: Page) => page.getByRole('link', { name: parked }).click();
const keysOfShop = () => `/dead-letters?consumer=${shop.name}`;

const places: Place[] = [
  { name: 'the overview', path: '/', shows: 'Completed within', act: click(/^Service orders/) },
  {
    name: 'the orders',
    path: '/orders',
    shows: '2 × Coffee beans',
    act: async (page) => {
      await click('Place an order')(page);
      await page.getByText('sold out', { exact: true }).waitFor();
      await click('Place the order')(page);
      await page.getByText('Choose an item.').waitFor();
    },
  },
  {
    name: 'an order',
    path: () => `/orders/${completed}`,
    shows: 'Order completed',
    act: async (page) => {
      await page.getByRole('slider').press('Home');
      await page.getByText(/event 1 of/).waitFor();
      await click('What it says')(page);
    },
  },
  { name: 'the fulfilments', path: '/fulfilments', shows: 'Capture refused', act: click(/^Steps/) },
  { name: 'a fulfilment to be settled', path: '/fulfilments', shows: 'Capture refused', act: click(/^Settle/) },
  { name: 'the groups of dead letters', path: '/dead-letters', shows: '1 key with 2 parked messages' },
  {
    name: 'a group of dead letters',
    path: keysOfShop,
    shows: 'pm-1 is refused',
    act: async (page) => {
      await click(/^Replay [0-9a-f]/)(page);
      await click('Dry run')(page);
      await page.getByText('nothing was done').waitFor();
    },
  },
  {
    name: 'a dead letter',
    path: keysOfShop,
    shows: 'pm-1 is refused',
    act: async (page) => {
      await letterOfParked(page);
      await page.getByLabel('As JSON').fill('{"paymentMethod": 1}');
      await page.getByText(/expected string/).waitFor();
    },
  },
  {
    name: 'what operators did',
    path: '/dead-letters?show=acts',
    shows: 'a test',
    act: (page) => page.getByText('What came of').first().click(),
  },
  {
    name: 'the projections',
    path: '/projections',
    shows: 'Ready to switch',
    act: async (page) => {
      await click(/^Compare/)(page);
      await page.getByText('Compare again').waitFor();
    },
  },
  { name: 'the log', path: '/events?aggregate=order', shows: 'Order completed' },
  {
    name: 'an event',
    path: () => `/events?key=${completed}`,
    shows: 'Order placed',
    act: async (page) => {
      await page.getByRole('link', { name: 'Order placed' }).click();
      await page.getByRole('heading', { name: 'Headers' }).waitFor();
    },
  },
  { name: 'the catalogue', path: '/events?show=catalogue&service=orders', shows: 'Order shipped' },
  {
    name: 'a contract',
    path: '/events?show=catalogue&event=causeway.orders.v1.OrderPlaced',
    shows: 'To all events',
  },
];

test('who signs in has a page that everybody can use', async () => {
  await expectGoodLooks(await visitAsStranger(context, platform));
});

test.each(places)('$name can be used by everybody, on a screen and on a phone, in light and in dark', async (place) => {
  const { path, shows, act } = place;
  const page = await visit(context, platform, 'olga', {
    path: typeof path === 'string' ? path : path(),
  });
  await page.getByText(shows).first().waitFor();
  await act?.(page);
  await expectGoodLooks(page);
});

test('the overview, an order and a dead letter can be used by keyboard alone', async () => {
  const page = await visit(context, platform, 'olga');
  await page.getByText('Completed within').waitFor();

  // It begins at the page's title.
  await tabTo(page, 'Fulfilments', 'Shift+Tab');
  await tabTo(page, 'Skip to the content', 'Shift+Tab');
  await page.keyboard.press('Enter');
  await tabTo(page, /^Service /);
  await page.keyboard.press('ArrowRight');
  expect(await focused(page)).not.toMatch(/^Service /);
  await page.keyboard.press('Enter');
  expect(await page.locator(':focus').getAttribute('aria-pressed')).toBe('true');
  await page.keyboard.press('Escape');
  expect(await page.locator(':focus').getAttribute('aria-pressed')).toBe('false');

  await page.goto(`${platform.http}/orders`);
  await page.getByRole('link', { name: completed }).waitFor();
  await tabTo(page, completed);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Order completed' }).first().waitFor();
  await tabTo(page, "Moment in the order's history");
  await page.keyboard.press('Home');
  await page.getByText(/event 1 of/).waitFor();
  await page.keyboard.press('ArrowRight');
  await page.getByText(/event 2 of/).waitFor();
  await tabTo(page, /Live$/);
  await page.keyboard.press('Enter');
  await tabTo(page, 'What it says');
  await page.keyboard.press('Enter');
  await page
    .getByText('Causation')
    .or(page.getByText('Cause', { exact: true }))
    .first()
    .waitFor();

  await page.goto(`${platform.http}/dead-letters`);
  await page.getByRole('link', { name: shop.name }).waitFor();
  await tabTo(page, shop.name);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: parked }).waitFor();
  await tabTo(page, parked);
  await page.keyboard.press('Enter');
  await page.getByLabel('As JSON').waitFor();
  await tabTo(page, 'As JSON');
  await page.keyboard.press('Control+End');
  await page.keyboard.type('}');
  await page
    .getByRole('alert')
    .filter({ hasText: /^Line \d+, column \d+/ })
    .waitFor();
  await page.keyboard.press('Shift+Tab');
  await tabTo(page, 'Discard', 'Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Discard' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await expect.poll(() => focused(page)).toBe('Discard');
});

/** The name of what has the focus. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement as HTMLElement & { labels?: NodeListOf<HTMLElement> };
    return (element.ariaLabel ?? element.labels?.[0]?.textContent ?? element.textContent ?? '').trim().slice(0, 60);
  });
}

/** Whether what has the focus is marked; nothing has it between the page's end and its beginning. */
function isFocusSeen(page: Page): Promise<boolean> {
  return page.evaluate(() => {
    const element = document.activeElement ?? document.body;
    return element === document.body || getComputedStyle(element).outlineStyle === 'solid';
  });
}

const MAX_STOPS = 60;

/** Presses Tab until what is named has the focus; wherever it comes by, the focus is seen. */
async function tabTo(page: Page, name: string | RegExp, key = 'Tab'): Promise<void> {
  const passed: string[] = [];
  while (passed.length < MAX_STOPS) {
    await page.keyboard.press(key);
    const at = await focused(page);
    passed.push(at);
    expect(await isFocusSeen(page), at).toBe(true);
    if (typeof name === 'string' ? at === name : name.test(at)) return;
  }
  throw new Error(`Tab does not lead to ${name}, but to ${passed.join(' | ')}`);
}

async function expectGoodLooks(page: Page): Promise<void> {
  const wide = { width: 1280, height: 800 };
  const phone = { width: 390, height: 844 };
  const colours = ['color-contrast'];
  const look = async (colorScheme: 'light' | 'dark', rules?: string[]) => {
    await page.emulateMedia({ colorScheme });
    return axeFindings(page, rules);
  };
  await page.setViewportSize(wide);
  expect(await look('light')).toEqual([]);
  expect(await look('dark', colours)).toEqual([]);
  await page.setViewportSize(phone);
  expect(await look('dark')).toEqual([]);
  expect(await look('light', colours)).toEqual([]);
  await page.setViewportSize({ ...phone, width: 360 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
}

import type { Browser, BrowserContext, ConsoleMessage, Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import type { Caller } from '#kit/rpc/call.ts';
import { atTheEnd } from '#kit/testing/servers.ts';
import { bearer, type Doors } from '../platform.ts';
import { blankPage, startChromium } from './chromium.ts';

/** What comes on a busy machine comes late, and is no failure. */
const PATIENCE_MS = 20_000;

/** A browser for a test file. */
export async function testBrowser(): Promise<Browser> {
  let browser: Browser | undefined;
  atTheEnd(async () => browser?.close());
  browser = await startChromium();
  return browser;
}

type Visit = { role?: Caller['role']; path?: string };

/** Somebody who looks at a platform's console, signed in by its address; gone with the test. */
export async function visit(
  browser: Browser | BrowserContext,
  { http }: Doors,
  subject: string,
  { role = 'operator', path = '/' }: Visit = {},
): Promise<Page> {
  const page = await watchedPage(browser);
  await page.goto(`${http}${path}#token=${await tokenOf(subject, role)}`);
  return page;
}

/** The console as somebody opens it who is not signed in. */
export async function visitAsStranger(browser: Browser | BrowserContext, { http }: Doors): Promise<Page> {
  const page = await watchedPage(browser);
  await page.goto(http);
  return page;
}

export async function tokenOf(subject: string, role: Caller['role']): Promise<string> {
  return (await bearer(subject, role)).replace('Bearer ', '');
}

/** A page whose errors fail the test: those that it throws, those that it logs, and what its policy refuses it. */
async function watchedPage(browser: Browser | BrowserContext): Promise<Page> {
  const page = await ('newContext' in browser ? blankPage(browser) : browser.newPage());
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !isRefusedCall(message)) complaints.push(message.text());
  });
  onTestFinished(async () => {
    await ('newContext' in browser ? page.context() : page).close();
    expect(complaints).toEqual([]);
  });
  return page;
}

/** The browser logs each answer that is no success, also one that the page asks for and shows. */
function isRefusedCall(message: ConsoleMessage): boolean {
  return message.text().startsWith('Failed to load resource') && message.location().url.includes('/causeway.');
}

import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** The one without windows first: with them it takes twice the time of the processor, for what nobody sees. */
const PLACES = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** Without what calls home, or waits for what a machine without a screen does not have. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A browser of this machine. @throws Error where there is none: CHROMIUM names one elsewhere. */
export async function startChromium(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? PLACES.find((place) => existsSync(place));
  if (executablePath === undefined) {
    throw new Error(`the console is tried in Chromium, and there is none at ${PLACES.join(', ')}: CHROMIUM names it`);
  }
  return chromium.launch({ executablePath, args: FLAGS });
}

/** A page with nothing in it yet, in a context of its own: nobody is signed in there, and nothing is kept. */
export async function blankPage(browser: Browser, look: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ...look });
  return context.newPage();
}

/** The console, signed in by its address as `npm start` prints it. */
export async function openConsole(
  browser: Browser,
  address: string,
  { token, path = '/', ...look }: BrowserContextOptions & { token: string; path?: string },
): Promise<Page> {
  const page = await blankPage(browser, look);
  await page.goto(`${address}${path}#token=${token}`);
  return page;
}

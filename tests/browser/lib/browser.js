/**
 * Chromium and Firefox with fake cameras and microphones, behind one small interface: Chromium by playwright-core,
 * Firefox by puppeteer-core over WebDriver BiDi. Both are the Debian packages.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

const CHROMIUM_ARGS = [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  // Pages that are not in front are tests too.
  '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
];

/**
 * @typedef {object} Page
 * @property {string} browser `chromium` or `firefox`
 * @property {string[]} problems errors that the page reported
 * @property {<A, R>(code: (argument: A) => R | Promise<R>, argument?: A) => Promise<R>} evaluate
 * @property {(url: string) => Promise<void>} open
 * @property {() => Promise<void>} reload
 * @property {(width: number, height: number) => Promise<void>} resize
 * @property {(path: string) => Promise<void>} screenshot
 * @property {(key: string) => Promise<void>} press
 * @property {(scheme: 'light' | 'dark') => Promise<void>} [scheme] Chromium alone
 * @property {() => Promise<void>} close
 */

/**
 * @param {'chromium' | 'firefox'} name
 * @param {{args?: string[], env?: Record<string, string>, executable?: string}} [options] `executable`: such as a wrapper that
 *   enters a network namespace; `env`: Chromium alone
 */
export function launch(name, options = {}) {
  return name === 'firefox' ? launchFirefox(options) : launchChromium(options);
}

async function launchChromium({ args = [], env, executable = '/usr/bin/chromium' }) {
  const profile = mkdtempSync(join(tmpdir(), 'patchbay-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable,
    headless: false,
    args: [...CHROMIUM_ARGS, ...args],
    ...(env && { env: { ...process.env, ...env } }),
    ignoreDefaultArgs: ['--mute-audio', '--headless'],
    viewport: { width: 1280, height: 800 },
  });
  return {
    name: 'chromium',
    /** @returns {Promise<Page>} */
    async page(url) {
      const page = await context.newPage();
      const problems = collect(page);
      await page.goto(url, { waitUntil: 'load' });
      return {
        browser: 'chromium',
        problems,
        evaluate: (code, argument) => page.evaluate(code, argument),
        open: async (next) => { await page.goto(next, { waitUntil: 'load' }); },
        reload: async () => { await page.reload({ waitUntil: 'load' }); },
        resize: (width, height) => page.setViewportSize({ width, height }),
        screenshot: async (path) => { await page.screenshot({ path }); },
        press: (key) => page.keyboard.press(key),
        scheme: (colorScheme) => page.emulateMedia({ colorScheme }),
        close: () => page.close(),
      };
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

async function launchFirefox({ args = [], executable = '/usr/bin/firefox-esr' }) {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: executable,
    headless: true,
    args,
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.autoplay.default': 0,
      // H.264 would be fetched from the network as a plugin.
      'media.gmp-manager.updateEnabled': false,
    },
  });
  return {
    name: 'firefox',
    /** @returns {Promise<Page>} */
    async page(url) {
      const page = await browser.newPage();
      const problems = collect(page);
      await page.goto(url, { waitUntil: 'load' });
      return {
        browser: 'firefox',
        problems,
        evaluate: (code, argument) => page.evaluate(code, argument),
        open: async (next) => { await page.goto(next, { waitUntil: 'load' }); },
        reload: async () => { await page.reload({ waitUntil: 'load' }); },
        resize: (width, height) => page.setViewport({ width, height }),
        screenshot: async (path) => { await page.screenshot({ path }); },
        press: (key) => page.keyboard.press(key),
        close: () => page.close(),
      };
    },
    close: () => browser.close(),
  };
}

/** Errors of a page, as they come. */
function collect(page) {
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error?.stack ?? error)));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  return problems;
}

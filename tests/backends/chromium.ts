/** Shows pages in a real browser, and keeps what went wrong in them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** Debian's; for `describeWith`. */
export const CHROMIUM = '/usr/bin/chromium';

export interface Visit {
  readonly page: Page;
  /** Errors and warnings of the console, uncaught errors, dialogs, violations of the page's policy. */
  readonly problems: string[];
  /** What the page asked for beside itself. */
  readonly requests: string[];
  /** Runs a script in the page; not under its policy. */
  run<T>(script: string): Promise<T>;
}

export interface Chromium {
  /** Shows a page from a file, as whoever got a report would; `hash` is the end of its address. */
  visit(text: string, options?: BrowserContextOptions & { readonly hash?: string }): Promise<Visit>;
  /** Closes the pages that were opened since. */
  closePages(): Promise<void>;
  stop(): Promise<void>;
}

export async function startChromium(): Promise<Chromium> {
  const folder = await mkdtemp(join(tmpdir(), 'secrets-page-'));
  // Each start has a new, empty profile.
  const browser: Browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  let pages = 0;
  return {
    async visit(text, { hash = '', ...options } = {}) {
      pages += 1;
      const file = join(folder, `${pages}.html`);
      await writeFile(file, text);
      const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options });
      const [problems, requests]: [string[], string[]] = [[], []];
      await context.addInitScript(
        "addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.effectiveDirective} ${event.blockedURI}`))",
      );
      const page = await context.newPage();
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning')
          problems.push(`${message.type()}: ${message.text()}`);
      });
      page.on('pageerror', (error) => problems.push(`thrown: ${error.message}`));
      page.on('dialog', (dialog) => {
        problems.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      const address = pathToFileURL(file).href;
      page.on('request', (request) => {
        if (request.url().split('#')[0] !== address) requests.push(request.url());
      });
      await page.goto(address + hash);
      return { page, problems, requests, run: (script) => page.evaluate(script) };
    },
    closePages: async () => {
      for (const context of browser.contexts()) await context.close();
    },
    stop: async () => {
      await browser.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// `node bench/report-page.mjs [--findings 5000] [--turns 5]`: how long a browser takes to show a large HTML report of
// made-up data, and to filter it. Nothing is asserted; printed are medians and the longest. Needs Chromium.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { importSource, root } from '../scripts/import-source.mjs';

const { values: flags } = parseArgs({
  options: { findings: { type: 'string', default: '5000' }, turns: { type: 'string', default: '5' } },
});
const source = `
  export { largeReport } from ${JSON.stringify(join(root, 'tests/output/html/data.ts'))};
  export { renderPage } from ${JSON.stringify(join(root, 'src/output/html/render.ts'))};
`;
const part = (name) => readFile(join(root, 'src/output/html', name), 'utf8');
const { largeReport, renderPage } = await importSource(source, {
  transform: {
    define: {
      SECRETS_PAGE_STYLE: JSON.stringify(await part('page.css')),
      SECRETS_PAGE_SCRIPT: JSON.stringify(await part('page.js')),
    },
  },
});

/** From the click to the page laid out anew. */
const FILTER =
  "(() => { const box = document.querySelector('[name=severity]'); const from = performance.now(); box.click(); document.body.offsetHeight; return performance.now() - from; })()";
const folder = await mkdtemp(join(tmpdir(), 'secrets-bench-page-'));
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
});
try {
  const text = renderPage(largeReport(Number(flags.findings)), '0.1.0');
  const file = join(folder, 'report.html');
  await writeFile(file, text);
  const [shown, filtered] = [[], []];
  for (let turn = 0; turn < Number(flags.turns); turn += 1) {
    const context = await browser.newContext({ viewport: { width: 1100, height: 900 } });
    const page = await context.newPage();
    await page.goto(pathToFileURL(file).href);
    shown.push(await page.evaluate("performance.getEntriesByType('navigation')[0].domComplete"));
    filtered.push(await page.evaluate(FILTER));
    await context.close();
  }
  process.stdout.write(`${flags.findings} findings, ${(Buffer.byteLength(text) / 1e6).toFixed(1)} MB\n`);
  for (const [title, times] of [
    ['shown', shown],
    ['filtered', filtered],
  ]) {
    const sorted = times.toSorted((a, b) => a - b);
    const [median, longest] = [sorted[sorted.length >> 1], sorted.at(-1)].map((ms) => ms.toFixed(0));
    process.stdout.write(`${title.padEnd(9)} ${median.padStart(6)} ms, ${longest} at most\n`);
  }
} finally {
  await browser.close();
  await rm(folder, { recursive: true });
}

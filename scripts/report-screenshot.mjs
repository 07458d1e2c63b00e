// Pictures of the HTML report, of made-up data. `node scripts/report-screenshot.mjs
// FOLDER`: into that folder, in both schemes, at a phone's width too, and printed; without one docs/audit-report.png.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { importSource, root } from './import-source.mjs';

const [folder] = process.argv.slice(2);
const source = `
  export { exampleReport } from ${JSON.stringify(join(root, 'tests/output/html/data.ts'))};
  export { renderPage } from ${JSON.stringify(join(root, 'src/output/html/render.ts'))};
`;
const part = (name) => readFile(join(root, 'src/output/html', name), 'utf8');
const { exampleReport, renderPage } = await importSource(source, {
  transform: {
    define: {
      SECRETS_PAGE_STYLE: JSON.stringify(await part('page.css')),
      SECRETS_PAGE_SCRIPT: JSON.stringify(await part('page.js')),
    },
  },
});

const work = await mkdtemp(join(tmpdir(), 'secrets-page-'));
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
});
try {
  if (folder !== undefined) await mkdir(folder, { recursive: true });
  const file = join(folder ?? work, 'report.html');
  await writeFile(file, renderPage(exampleReport(), '0.1.0'));
  const shots =
    folder === undefined
      ? [
          {
            path: join(root, 'docs/audit-report.png'),
            scheme: 'light',
            width: 1000,
            height: 1740,
            scale: 0.75,
          },
        ]
      : ['light', 'dark'].flatMap((scheme) =>
          [1100, 375].map((width) => ({ path: join(folder, `${scheme}-${width}.png`), scheme, width })),
        );
  for (const { path, scheme, width, height, scale } of shots) {
    const context = await browser.newContext({
      colorScheme: scheme,
      viewport: { width, height: height ?? 900 },
      deviceScaleFactor: scale ?? 1,
    });
    const page = await context.newPage();
    await page.goto(pathToFileURL(file).href);
    await page.screenshot({ path, fullPage: folder !== undefined });
    if (folder !== undefined) await page.pdf({ path: join(folder, 'print.pdf'), format: 'A4' });
    await context.close();
  }
} finally {
  await browser.close();
  await rm(work, { recursive: true, force: true });
}

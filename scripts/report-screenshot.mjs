// Pictures of the HTML report, of made-up data. `node scripts/report-screenshot.mjs
// FOLDER`: into that folder, in both schemes, at a phone's width too, and printed; without one docs/audit-report.png.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const [folder] = process.argv.slice(2);
const source = `
  export { exampleReport } from ${JSON.stringify(join(root, 'tests/output/html/data.ts'))};
  export { renderPage } from ${JSON.stringify(join(root, 'src/output/html/render.ts'))};
`;
const part = (name) => readFile(join(root, 'src/output/html', name), 'utf8');
const bundle = await rolldown({
  cwd: root,
  input: 'entry',
  platform: 'node',
  transform: {
    define: {
      SECRETS_PAGE_STYLE: JSON.stringify(await part('page.css')),
      SECRETS_PAGE_SCRIPT: JSON.stringify(await part('page.js')),
    },
  },
  plugins: [
    {
      name: 'entry',
      resolveId: (id) => (id === 'entry' ? id : undefined),
      load: (id) => (id === 'entry' ? source : undefined),
    },
  ],
});
const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
await bundle.close();
const { exampleReport, renderPage } = await import(
  `data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`
);

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

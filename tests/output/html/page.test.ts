/** The report's page in a real browser: what it shows, how it is used, and what it refuses. */
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { renderPage } from '../../../src/output/html/render.ts';
import { CHROMIUM, type Chromium, startChromium, type Visit } from '../../backends/chromium.ts';
import { describeWith } from '../../backends/server.ts';
import { makePlace } from '../../e2e/program.ts';
import { sampled } from '../../size.ts';
import { emptyReport, exampleReport, largeReport, planted } from './data.ts';

const CONTRAST = readFileSync(new URL('contrast.js', import.meta.url), 'utf8');
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const PHONE = { width: 360, height: 740 };
const SHOWN = "[...document.querySelectorAll('.finding')].filter((one) => one.checkVisibility()).length";

const report = exampleReport();
const text = renderPage(report, '1.2.3');
const total = report.findings.length;
/** One finding of each rule and severity, for what looks at every element. */
const slim = { ...report, findings: oneOfEach() };

function oneOfEach(): typeof report.findings {
  return [...new Map(report.findings.map((one) => [`${one.rule} ${one.severity}`, one])).values()];
}

function countOf(test: (finding: (typeof report.findings)[number]) => boolean): number {
  return report.findings.filter(test).length;
}

describeWith('the page of a report', [CHROMIUM], () => {
  let chromium: Chromium;
  beforeAll(async () => {
    chromium = await startChromium();
  });
  afterEach(() => chromium.closePages());
  afterAll(() => chromium.stop());

  const status = ({ page }: Visit): Promise<string> => page.locator('#count').innerText();
  const hash = ({ run }: Visit): Promise<string> => run('location.hash');
  const tick = ({ page }: Visit, severity: string): Promise<void> =>
    page.locator(`input[value=${severity}]`).check();
  const expectClean = ({ problems, requests }: Visit): void =>
    expect({ problems, requests }).toEqual({ problems: [], requests: [] });

  test.each(['light', 'dark'] as const)(
    'in %s: everything is there, and nothing is asked of the network',
    async (colorScheme) => {
      const visit = await chromium.visit(text, { colorScheme });
      expect(await visit.page.title()).toBe(`Audit report of 2026-04-12: ${total} findings`);
      expect(await visit.page.getByRole('heading', { level: 2 }).allInnerTexts()).toEqual([
        'Summary',
        'Not known',
        'Findings',
        'Suppressed',
        'Access',
        'Ages',
        'Rules',
      ]);
      expect(await visit.run(SHOWN)).toBe(total);
      const [worst] = report.findings;
      const first = visit.page.locator('.finding').first();
      for (const part of [worst?.message, worst?.remedy, `${worst?.store}://${worst?.secret}`])
        expect(await first.innerText()).toContain(part);
      expect(await visit.run('getComputedStyle(document.body).backgroundColor')).toBe(
        colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(15, 20, 25)',
      );
      expect(
        await visit.run(
          '[...document.querySelectorAll("*")].some((one) => getComputedStyle(one).transitionDuration !== "0s" || getComputedStyle(one).animationName !== "none")',
        ),
      ).toBe(false);
      expectClean(visit);
    },
  );

  test('charts say in words, and in tables, what they show', async () => {
    const visit = await chromium.visit(text);
    const chart = visit.page.getByRole('img', { name: 'Reads a day' });
    expect(await chart.locator('rect').count()).toBe(
      report.access.days.filter(({ reads }) => reads > 0).length,
    );
    const heat = visit.page.getByRole('img', { name: 'Reads by weekday and hour' });
    expect(await heat.locator('rect').count()).toBe(7 * 24);
    expect(await visit.run("document.getElementById('heat-desc').textContent")).toMatch(
      /^Most reads: [\d,]+ on \w+days from \d+ to \d+ h\./,
    );
    for (const summary of await visit.page.locator('summary').all()) await summary.click();
    const days = visit.page.getByRole('table', { name: 'Accesses a day' });
    const { day = '', reads = 0 } = report.access.days[3] ?? {};
    expect(await days.getByRole('row', { name: day }).innerText()).toContain(reads.toLocaleString('en'));
    const hours = visit.page.getByRole('table', { name: 'Allowed reads by hour' });
    expect(await hours.getByRole('row', { name: '9 to 10 h' }).getByRole('cell').first().innerText()).toBe(
      report.access.hours[0]?.[9]?.toLocaleString('en'),
    );
    const ages = visit.page.getByRole('table', { name: 'How old current values are' });
    for (const { label, secrets } of report.ages)
      expect(await ages.getByRole('row', { name: label }).getByRole('cell').first().innerText()).toBe(
        String(secrets),
      );
    expectClean(visit);
  });

  test('filters by mouse, and keeps them in the address', async () => {
    const visit = await chromium.visit(text);
    const { page } = visit;
    const high = countOf(({ severity }) => severity === 'high');
    await tick(visit, 'high');
    expect(await status(visit)).toBe(`${high} of ${total} findings are shown, the worst first.`);
    expect(await visit.run(SHOWN)).toBe(high);
    await tick(visit, 'medium');
    await page.getByLabel('Rule', { exact: true }).selectOption('never-rotated');
    await page.getByLabel('Status', { exact: true }).selectOption('known');
    const known = countOf(({ rule, status: own }) => rule === 'never-rotated' && own === 'known');
    expect(known).toBeGreaterThan(0);
    expect(await visit.run(SHOWN)).toBe(known);
    expect(await hash(visit)).toBe('#severity=high.medium&rule=never-rotated&status=known');

    await page.reload();
    expect(await visit.run(SHOWN)).toBe(known);
    expect(await page.getByLabel('Rule', { exact: true }).inputValue()).toBe('never-rotated');

    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByText(`All ${total} findings are shown`).waitFor();
    expect(await hash(visit)).toBe('#findings-h');

    await page.getByLabel('Store', { exact: true }).selectOption('staging');
    await page.getByLabel('Words', { exact: true }).fill('LOG, user\n');
    await page.getByText(`1 of ${total} findings are shown`).waitFor();
    expect(await hash(visit)).toBe('#store=staging&q=LOG%2C+user');
    await page.getByLabel('Words', { exact: true }).fill('no such words');
    await page.getByText(`No finding of ${total} fits these filters.`).waitFor();
    expectClean(visit);
  });

  test('works with the keyboard alone, and shows where the focus is', async () => {
    const visit = await chromium.visit(text);
    const { page } = visit;
    const focused = (): Promise<string> =>
      visit.run(
        'document.activeElement.name || document.activeElement.id || document.activeElement.textContent',
      );
    /** Presses Tab until the focus is there. */
    const tabTo = async (name: string): Promise<void> => {
      for (let presses = 0; (await focused()) !== name; presses += 1) {
        if (presses > 20) throw new Error(`${name} is not reached`);
        await page.keyboard.press('Tab');
        expect([
          await focused(),
          await visit.run('getComputedStyle(document.activeElement).outlineStyle'),
        ]).toEqual([expect.anything(), 'solid']);
      }
    };
    await tabTo('Skip to the findings');
    await page.keyboard.press('Enter');
    expect(await focused()).toBe('findings-h');
    await tabTo('severity');
    await page.keyboard.press('Space');
    const critical = countOf(({ severity }) => severity === 'critical');
    expect(await status(visit)).toMatch(`${critical} of ${total}`);
    await tabTo('store');
    await page.keyboard.press('s');
    expect(await visit.run(SHOWN)).toBe(
      countOf(({ severity, store }) => severity === 'critical' && store === 'staging'),
    );
    await tabTo('q');
    await page.keyboard.type('nowhere');
    await page.keyboard.press('Enter');
    expect(await status(visit)).toMatch(/^No finding/);
    await tabTo('Clear filters');
    await page.keyboard.press('Enter');
    await page.getByText(`All ${total} findings`).waitFor();
    // A live region, so that the number is said.
    expect(await page.getByRole('status').innerText()).toMatch(/^All/);
    expectClean(visit);
  });

  test('the summary leads to the findings of a severity', async () => {
    const visit = await chromium.visit(text);
    await visit.page
      .getByRole('list', { name: 'Findings by severity' })
      .getByRole('link', { name: 'critical' })
      .click();
    expect(await visit.run(SHOWN)).toBe(countOf(({ severity }) => severity === 'critical'));
    expect(await visit.run('document.activeElement.id')).toBe('findings-h');
    expect(await hash(visit)).toBe('#severity=critical');
    expectClean(visit);
  });

  test('an address with what this report does not have filters nothing by it', async () => {
    const visit = await chromium.visit(text, { hash: '#severity=low.%3Cimg%3E&rule=nope&store=%zz&q=' });
    expect(await visit.run(SHOWN)).toBe(countOf(({ severity }) => severity === 'low'));
    await visit.run("location.hash = '#rule=overdue'");
    await visit.page.getByText(`1 of ${total} findings`).waitFor();
    // An anchor is no filter.
    await visit.page.getByRole('link', { name: 'Ages' }).click();
    expect(await visit.run(SHOWN)).toBe(1);
    expectClean(visit);
  });

  let plainShape: string | undefined;
  test.each(
    sampled(
      [
        '<img src=x onerror="alert(1)">',
        '</script><script>alert(1)</script>',
        '</style><style>*{display:none}</style>',
        '"><svg onload=alert(1)>',
        "' onmouseover='alert(1)' x='",
        '</title></textarea></noscript></select></svg><!--<script>',
        '&lt;b&gt;&amp;&#x3c;script&#x3e;',
        '\u202egnp.exe\u0000\u0007\u001b[31m\u2028\u{1f511} ${alert(1)} {{7*7}}',
        'javascript:alert(1)',
      ],
      3,
    ),
  )('in the place of every name, %j is text', async (hostile) => {
    const shape =
      "[...document.querySelectorAll('body *')].map((one) => one.localName + [...one.attributes].map(({ name }) => ' ' + name).join('')).join('\\n')";
    plainShape ??= await (
      await chromium.visit(renderPage(planted(slim, 'plain'), '1.2.3'))
    ).run<string>(shape);
    const visit = await chromium.visit(renderPage(planted(slim, hostile), '1.2.3'));
    // The same elements with the same attributes, whatever the names are.
    expect(await visit.run(shape)).toBe(plainShape);
    const shown = hostile.replaceAll(
      /[\u0000-\u001f\u2028\u202e]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    expect(await visit.run('document.querySelector(".finding p").textContent')).toBe(shown);
    expect(await visit.run('document.querySelector(".finding").dataset.store')).toBe(shown);
    // A name in the address and in the filters.
    await visit.page.getByLabel('Store', { exact: true }).selectOption({ index: 1 });
    await visit.page.getByLabel('Words', { exact: true }).fill(shown);
    await visit.page.keyboard.press('Enter');
    expect(await visit.run(SHOWN)).toBe(slim.findings.length);
    await visit.page.reload();
    expect(await visit.page.getByLabel('Words', { exact: true }).inputValue()).toBe(shown);
    expect(await visit.run('document.querySelectorAll("body script").length')).toBe(1);
    expectClean(visit);
  });

  test('markup that got into the page after all does nothing', async () => {
    const injected = `
      <script>window.hurt = 'script'</script>
      <img src="https://attacker.example/x.png" onerror="window.hurt = 'handler'">
      <p id="styled" style="position: fixed">x</p><style>#styled { color: rgb(1, 2, 3) }</style>
      <iframe src="https://attacker.example"></iframe>
      <form id="f" action="https://attacker.example"><input name="a"></form>
      <base href="https://attacker.example/">`;
    const visit = await chromium.visit(text.replace('</main>', () => `${injected}</main>`));
    // The page itself still works.
    await tick(visit, 'high');
    expect(await visit.run(SHOWN)).toBe(countOf(({ severity }) => severity === 'high'));
    // No script of the page can make markup of text.
    await expect(visit.run("document.body.innerHTML = '<b>x</b>'")).rejects.toThrow(/TrustedHTML/);
    // What is refused may come to be known a little later.
    const formRefused = visit.page.waitForEvent('console', (message) =>
      /policy: form-action/.test(message.text()),
    );
    await visit.run("document.getElementById('f').submit()");
    await formRefused;
    expect(await visit.run('window.hurt ?? null')).toBeNull();
    expect(await visit.run("getComputedStyle(document.getElementById('styled')).position")).toBe('static');
    expect(await visit.run("getComputedStyle(document.getElementById('styled')).color")).not.toBe(
      'rgb(1, 2, 3)',
    );
    expect(await visit.run('document.baseURI')).toMatch(/^file:/);
    const violated = new Set(visit.problems.map((line) => /^error: policy: (\S+)/.exec(line)?.[1]));
    for (const directive of [
      'script-src-elem',
      'img-src',
      'style-src-attr',
      'style-src-elem',
      'frame-src',
      'form-action',
      'base-uri',
    ])
      expect(violated).toContain(directive);
  });

  test.each([
    ['light', false],
    ['dark', false],
    ['light', true],
    ['dark', true],
  ] as const)('contrast in %s, toggled: %s', async (colorScheme, toggled) => {
    const visit = await chromium.visit(text, { colorScheme });
    if (toggled)
      await visit.page
        .getByRole('button', { name: colorScheme === 'light' ? 'Dark colours' : 'Light colours' })
        .click();
    const dark = (colorScheme === 'dark') !== toggled;
    expect(await visit.run('getComputedStyle(document.body).backgroundColor')).toBe(
      dark ? 'rgb(15, 20, 25)' : 'rgb(255, 255, 255)',
    );
    const pairs =
      await visit.run<readonly { kind: 'text' | 'shape'; where: string; ratio: number }[]>(CONTRAST);
    expect(pairs.length).toBeGreaterThan(15);
    expect(pairs.filter(({ kind, ratio }) => ratio < (kind === 'text' ? 4.5 : 3))).toEqual([]);
  });

  test.each([
    ['light', undefined],
    ['dark', PHONE],
  ] as const)('axe finds nothing in %s', async (colorScheme, viewport) => {
    // Only here the policy is off, for axe to be put in.
    const visit = await chromium.visit(renderPage(slim, '1.2.3'), {
      colorScheme,
      bypassCSP: true,
      ...(viewport && { viewport }),
    });
    for (const summary of await visit.page.locator('summary').all()) await summary.click();
    await visit.page.addScriptTag({ path: AXE });
    const { violations, passes } = await visit.run<{
      violations: readonly { id: string; nodes: readonly { html: string; failureSummary: string }[] }[];
      passes: readonly unknown[];
    }>(
      "axe.run({ resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })",
    );
    expect(
      violations.map(({ id, nodes }) => ({
        id,
        nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => ({ html, failureSummary })),
      })),
    ).toEqual([]);
    expect(passes.length).toBeGreaterThan(30);
  });

  test('on a phone nothing sticks out', async () => {
    for (const page of [text, renderPage(planted(report, 'x'.repeat(300)), '1.2.3')]) {
      const visit = await chromium.visit(page, { viewport: PHONE });
      expect(await visit.run('document.documentElement.scrollWidth')).toBe(PHONE.width);
    }
  });

  test('without JavaScript all findings are listed, and no dead button', async () => {
    const visit = await chromium.visit(text, { javaScriptEnabled: false, colorScheme: 'dark' });
    expect(await visit.page.locator('.finding:visible').count()).toBe(total);
    expect(await visit.page.locator('button:visible, input:visible, select:visible').count()).toBe(0);
    expect(await visit.page.getByText('Filters need JavaScript').isVisible()).toBe(true);
    expectClean(visit);
  });

  test('is printed in light colours, with what is filtered and without what can’t be used', async () => {
    const visit = await chromium.visit(text, { colorScheme: 'dark', hash: '#severity=high' });
    await visit.page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    expect(await visit.run('getComputedStyle(document.body).color')).toBe('rgb(27, 33, 40)');
    expect(await visit.page.locator('button:visible, form:visible, nav:visible').count()).toBe(0);
    expect(await visit.run(SHOWN)).toBe(countOf(({ severity }) => severity === 'high'));
    expect(await visit.page.locator('#count').isVisible()).toBe(true);
  });

  test('nothing found and nothing seen is said', async () => {
    const visit = await chromium.visit(renderPage(emptyReport(), '1.2.3'));
    expect(await status(visit)).toBe('Nothing was found.');
    expect(await visit.page.getByText('There are no events of this period').isVisible()).toBe(true);
    expect(await visit.page.locator('form').count()).toBe(0);
    expectClean(visit);
  });

  // How long that takes is measured by bench/report-page.mjs.
  test('5,000 findings are shown and filtered', async () => {
    const large = renderPage(largeReport(5000), '1.2.3');
    // As docs/audit-report.md says: 3.5 MB.
    expect(Buffer.byteLength(large)).toBeLessThan(3_500_000);
    const visit = await chromium.visit(large);
    expect(await status(visit)).toMatch(/^5,000 findings/);
    await visit.page.getByLabel('Words', { exact: true }).fill('service-4321/');
    await visit.page.keyboard.press('Enter');
    expect(await status(visit)).toMatch(/^(1|No finding) of 5,000/);
    expectClean(visit);
  });

  test('the program writes it, for its user alone', async () => {
    const place = await makePlace();
    try {
      const { code, stderr } = await place.sh(
        "printf admin | secrets put --quiet '<b>weak</b>' && secrets audit report --values --format html --out report.html",
      );
      expect({ code, stderr }).toMatchObject({ code: 0 });
      const path = join(place.cwd, 'report.html');
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const page = readFileSync(path, 'utf8');
      expect(page).not.toContain('admin');
      const visit = await chromium.visit(page);
      expect(await visit.page.locator('.finding').first().innerText()).toContain('local://<b>weak</b>');
      await tick(visit, 'critical');
      expect(await visit.run(SHOWN)).toBe(1);
      expectClean(visit);
    } finally {
      await place.remove();
    }
  });
});

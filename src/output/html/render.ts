/**
 * The report as one self-contained page: no network, no other files. Its policy only lets the browser run the one
 * script and use the one style, identified by their hashes, so that a name that became markup after all could do
 * nothing. The script only filters; without it everything is shown.
 */
import { createHash } from 'node:crypto';
import { SEVERITIES } from '../../core/findings/finding.ts';
import type { ReportData } from '../../core/findings/report.ts';
import { accessSection, agesSection } from './access.ts';
import { pageScript, pageStyle } from './assets.ts';
import { badge, findingsSection, rulesSection, suppressedSection } from './findings.ts';
import { count, html, isolated, Markup, plural, timeOf } from './markup.ts';

/** @returns a whole document, with a final newline */
export function renderPage(data: ReportData, version: string): string {
  const [style, script] = [pageStyle(), pageScript()];
  const unknown = unknownSection(data);
  const sections = [
    { id: 'summary', name: 'Summary', part: summarySection(data) },
    { id: 'unknown', name: 'Not known', part: unknown },
    { id: 'findings', name: 'Findings', part: findingsSection(data.findings) },
    {
      id: 'suppressed',
      name: 'Suppressed',
      part: data.suppressed.length > 0 && suppressedSection(data.suppressed),
    },
    { id: 'access', name: 'Access', part: accessSection(data) },
    { id: 'ages', name: 'Ages', part: data.ages.length > 0 && agesSection(data.ages) },
    { id: 'rules', name: 'Rules', part: data.findings.length > 0 && rulesSection(data) },
  ].filter(({ part }) => part !== false);
  const title = `Audit report of ${data.generatedAt.slice(0, 10)}: ${plural(data.findings.length, 'finding')}`;
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policyFor(style, script)}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <meta name="robots" content="noindex" />
        <meta name="generator" content="secrets ${version}" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        ${verbatim('style', style)}
      </head>
      <body>
        <a class="skip" href="#findings-h">Skip to the findings</a>
        <header>
          <div>
            <h1>Audit report</h1>
            <p>${timeOf(data.generatedAt)}, by secrets ${version}</p>
          </div>
          <button type="button" id="theme" hidden>Dark colours</button>
        </header>
        <nav aria-label="Parts of the report">
          <ul>
            ${sections.map(({ id, name }) => html`<li><a href="#${id}-h">${name}</a></li>`)}
          </ul>
        </nav>
        <main>${sections.map(({ part }) => part)}</main>
        <footer>
          <p>
            This page holds no value of a secret. It does say which secrets are badly kept: keep it to
            yourselves.
          </p>
        </footer>
        ${verbatim('script', script)}
      </body>
    </html>`;
  return `${page.text}\n`;
}

/** Byte for byte, because it is hashed: outside the templates, which are formatted. */
function verbatim(element: 'style' | 'script', text: string): Markup {
  return new Markup(`<${element}>${text}</${element}>`);
}

/** The page's Content Security Policy (Level 3). */
function policyFor(style: string, script: string): string {
  const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return [
    "default-src 'none'",
    `style-src ${hash(style)}`,
    `script-src ${hash(script)}`,
    // The empty icon, which keeps the browser from requesting one from a server.
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

function summarySection(data: ReportData): Markup {
  const { findings, counts, newCounts, stores, suppressed, gate } = data;
  const known = findings.length - SEVERITIES.reduce((sum, severity) => sum + newCounts[severity], 0);
  const secrets = stores.reduce((sum, store) => sum + store.secrets, 0);
  return html`<section id="summary" aria-labelledby="summary-h">
    <h2 id="summary-h">Summary</h2>
    <ul class="tiles" role="list" aria-label="Findings by severity">
      ${SEVERITIES.map((severity) => {
        const text = html`<span class="figure">${count(counts[severity])}</span>
          ${badge(severity)}${known > 0 && html` <span class="hint">${count(newCounts[severity])} new</span>`}`;
        return html`<li class="${severity}">
          ${counts[severity] > 0 ? html`<a href="#first-${severity}" data-only="${severity}">${text}</a>` : html`<span class="tile">${text}</span>`}
        </li>`;
      })}
    </ul>
    ${
      gate !== undefined &&
      html`<p class="gate">
        <strong>${gate.failing > 0 ? 'The gate fails:' : 'The gate is passed:'}</strong>
        ${plural(gate.failing, 'new finding')} at ${gate.failOn} or worse.
      </p>`
    }
    <dl class="facts">
      ${line('Looked at', html`${plural(secrets, 'secret')} in ${plural(stores.length, 'store')}`)}
      ${line('Period', html`${timeOf(data.period.since)} to ${timeOf(data.period.until)}`)}
      ${line('Values', html`${data.values ? 'read, compared and judged' : 'not read: weak, default and repeated ones are not known'}`)}
      ${line('Trails of services', html`${data.trail ? 'read' : 'not read: only accesses through secrets are known'}`)}
      ${line('Baseline', html`${known === 0 ? 'no finding is in one' : `${plural(known, 'finding')} known from it`}`)}
      ${line('Suppressed', html`${plural(suppressed.length, 'finding')}`)}
    </dl>
    ${stores.length > 0 && storesTable(data)}
  </section>`;
}

function line(name: string, value: Markup): Markup {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div> `;
}

function storesTable({ stores, findings }: ReportData): Markup {
  const found = new Map<string, number>();
  for (const { store } of findings) found.set(store, (found.get(store) ?? 0) + 1);
  return html`<div class="scroll" role="group" aria-label="Stores" tabindex="0">
    <table>
      <caption>
        Stores
      </caption>
      <thead>
        <tr>
          <th scope="col">Store</th>
          <th scope="col">Provider</th>
          <th scope="col" class="number">Secrets</th>
          <th scope="col" class="number">Findings</th>
          <th scope="col">Looked at</th>
        </tr>
      </thead>
      <tbody>
        ${stores.map(
          ({ name, provider, secrets, errors }) =>
            html`<tr>
              <th scope="row" class="name">${isolated(name)}</th>
              <td>${isolated(provider)}</td>
              <td class="number">${count(secrets)}</td>
              <td class="number">${count(found.get(name) ?? 0)}</td>
              <td>
                ${errors.length === 0 ? 'in full' : html`<a href="#unknown-h">${plural(errors.length, 'error')}</a>`}
              </td>
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

/** What could not be determined comes before the findings, because no findings doesn't mean that all is well. */
function unknownSection({ stores, expiredSuppressions, notes }: ReportData): Markup | false {
  const failed = stores.flatMap(({ name, errors }) => errors.map((error) => ({ name, ...error })));
  if (failed.length + expiredSuppressions.length + notes.length === 0) return false;
  return html`<section id="unknown" aria-labelledby="unknown-h">
    <h2 id="unknown-h">Not known</h2>
    <ul>
      ${failed.map(
        ({ name, reference, message, hint }) =>
          html`<li>
            <strong>Could not be looked at:</strong> <code>${isolated(reference ?? name)}</code>:
            ${message}${hint !== undefined && html`; ${hint}`}
          </li> `,
      )}
      ${expiredSuppressions.map(
        ({ rule, secret, reason, until, findings }) =>
          html`<li>
            <strong>Suppression over:</strong> <code>${isolated(rule)}</code> of
            <code>${isolated(secret)}</code> ended on <time>${until}</time> (${reason});
            ${plural(findings, 'finding')} of it
          </li> `,
      )}
      ${notes.map(
        ({ rule, store, message }) =>
          html`<li>
            ${store !== undefined && html`<code>${isolated(store)}</code>: `}${rule !== undefined && html`<code>${isolated(rule)}</code>: `}${message}
          </li> `,
      )}
    </ul>
  </section>`;
}

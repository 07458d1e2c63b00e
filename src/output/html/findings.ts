/** The list of findings with its filters, the suppressed findings, and the rules. */
import { type Evidence, SEVERITIES } from '../../core/findings/finding.ts';
import type { ReportData, ReportFinding, SuppressedFinding } from '../../core/findings/report.ts';
import { type Rule, RULES } from '../../core/findings/rules.ts';
import { count, html, isolated, type Markup, type Part, place, plural, timeOf } from './markup.ts';

function ruleOf(id: string): Rule | undefined {
  return Object.hasOwn(RULES, id) ? RULES[id as keyof typeof RULES] : undefined;
}

function titleOf(id: string): string {
  return ruleOf(id)?.title ?? id;
}

export function findingsSection(findings: readonly ReportFinding[]): Markup {
  const seen = new Set<string>();
  return html`<section id="findings" aria-labelledby="findings-h">
    <h2 id="findings-h" tabindex="-1">Findings</h2>
    ${findings.length > 0 && filters(findings)}
    <p>
      <output id="count"
        >${findings.length === 0 ? 'Nothing was found.' : `${plural(findings.length, 'finding')}, the worst first.`}</output
      >
    </p>
    ${
      findings.length > 0 &&
      html`<ol id="list" role="list">
        ${findings.map((finding) => {
          const first = !seen.has(finding.severity);
          seen.add(finding.severity);
          return item(finding, first);
        })}
      </ol>`
    }
  </section>`;
}

/** @param first whether it is the first of its severity, which the summary links to without a script */
function item(finding: ReportFinding, first: boolean): Markup {
  const { severity, rule, store, secret, message, remedy, status } = finding;
  return html`<li${first && html` id="first-${severity}"`} class="finding ${severity}" data-severity="${severity}" data-rule="${rule}" data-store="${store}" data-status="${status}"><h3>${badge(severity)} ${titleOf(rule)}${status === 'known' && html` <span class="known">known</span>`} ${place(store, secret)}</h3><p>${message}</p>${facts(finding)}<p class="remedy"><strong>What to do:</strong> ${remedy}</p></li>\n`;
}

export function badge(severity: string): Markup {
  return html`<span class="badge">${severity}</span>`;
}

function facts({ rule, at, principal, evidence }: ReportFinding): Markup {
  return html`<dl>
    ${fact('rule', html`<code>${rule}</code>`)}${at !== undefined && fact('at', timeOf(at))}${principal !== undefined && fact('who', isolated(principal))}${Object.entries(evidence).map(([key, value]) => fact(words(key), valueOf(value)))}
  </dl>`;
}

function fact(name: string, value: Markup): Markup {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;
}

/** `lastReadDaysAgo` → `last read days ago`. */
function words(key: string): string {
  return key.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+Z$/;

function valueOf(value: Evidence[string]): Markup {
  if (typeof value === 'number') return html`${Number.isInteger(value) ? count(value) : value}`;
  if (typeof value === 'string') return TIME.test(value) ? timeOf(value) : isolated(value);
  return html`${value.map((entry, index) => html`${index > 0 && ', '}${isolated(entry)}`)}`;
}

/** Hidden until the script shows it: without the script, all findings are listed and filters don't work. */
function filters(findings: readonly ReportFinding[]): Markup {
  const known = findings.filter(({ status }) => status === 'known').length;
  const rules = tally(findings.map(({ rule }) => rule));
  const stores = tally(findings.map(({ store }) => store));
  const severities = tally(findings.map(({ severity }) => severity));
  const ruleOptions = (name: string, kind: Rule['kind'] | undefined): Markup | false => {
    const own = [...rules].filter(([rule]) => ruleOf(rule)?.kind === kind);
    return (
      own.length > 0 &&
      html`<optgroup label="${name}">
        ${own.map(([rule, number]) => option(rule, `${titleOf(rule)} (${count(number)})`))}
      </optgroup>`
    );
  };
  return html`<form id="filters" role="search" aria-label="Findings" hidden>
      <fieldset>
        <legend>Severity <span class="hint">(none ticked: all)</span></legend>
        ${SEVERITIES.filter((severity) => severities.has(severity)).map((severity) => html`<label><input type="checkbox" name="severity" value="${severity}" /> ${severity} (${count(severities.get(severity) ?? 0)})</label> `)}
      </fieldset>
      ${select('rule', 'Rule', [
        option('', 'all rules'),
        ruleOptions('How secrets are kept', 'posture'),
        ruleOptions('Anomalies', 'anomaly'),
        ruleOptions('Others', undefined),
      ])}
      ${select('store', 'Store', [
        option('', 'all stores'),
        [...stores].map(([store, number]) => option(store, `${store} (${count(number)})`)),
      ])}
      ${
        known > 0 &&
        select('status', 'Status', [
          option('', 'new and known'),
          option('new', `new (${count(findings.length - known)})`),
          option('known', `known (${count(known)})`),
        ])
      }
      <div class="field text">
        <label for="by-words">Words</label
        ><input type="search" id="by-words" name="q" autocomplete="off" spellcheck="false" />
      </div>
      <button type="reset">Clear filters</button>
    </form>
    <p id="unfiltered" class="hint">Filters need JavaScript. All findings are listed.</p>`;
}

function select(name: string, label: string, options: Part): Markup {
  return html`<div class="field">
    <label for="by-${name}">${label}</label
    ><select id="by-${name}" name="${name}">
      ${options}
    </select>
  </div>`;
}

function option(value: string, text: string): Markup {
  return html`<option value="${value}">${text}</option>`;
}

/** How often each text occurs, sorted by name. */
function tally(texts: readonly string[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const text of texts) sums.set(text, (sums.get(text) ?? 0) + 1);
  return new Map([...sums].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

export function suppressedSection(suppressed: readonly SuppressedFinding[]): Markup {
  return html`<section id="suppressed" aria-labelledby="suppressed-h">
    <h2 id="suppressed-h">Suppressed</h2>
    <div class="scroll" role="group" aria-labelledby="suppressed-h" tabindex="0">
      <table>
        <caption>
          Findings that secrets.yaml suppresses, and why
        </caption>
        <thead>
          <tr>
            <th scope="col">Severity</th>
            <th scope="col">Rule</th>
            <th scope="col">Where</th>
            <th scope="col">What</th>
            <th scope="col">Reason</th>
            <th scope="col">Until</th>
          </tr>
        </thead>
        <tbody>
          ${suppressed.map(
            ({ severity, rule, store, secret, message, reason, until }) =>
              html`<tr class="${severity}">
                <td>${badge(severity)}</td>
                <td>${titleOf(rule)}</td>
                <th scope="row" class="name">${place(store, secret)}</th>
                <td>${message}</td>
                <td>${reason}</td>
                <td><time>${until}</time></td>
              </tr> `,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

/** The rules that found something, and when they report. */
export function rulesSection({ findings }: ReportData): Markup {
  return html`<section id="rules" aria-labelledby="rules-h">
    <h2 id="rules-h">Rules</h2>
    <div class="scroll" role="group" aria-labelledby="rules-h" tabindex="0">
      <table>
        <caption>
          Rules that found something
        </caption>
        <thead>
          <tr>
            <th scope="col">Rule</th>
            <th scope="col" class="number">Findings</th>
            <th scope="col">Reported when</th>
          </tr>
        </thead>
        <tbody>
          ${[...tally(findings.map(({ rule }) => rule))].map(
            ([rule, number]) =>
              html`<tr>
                <th scope="row">${titleOf(rule)} <code>${rule}</code></th>
                <td class="number">${count(number)}</td>
                <td>${ruleOf(rule)?.about.replaceAll('`', '')}</td>
              </tr> `,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

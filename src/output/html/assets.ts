/**
 * The page's style and script from `page.css` and `page.js`, inserted by the build. They aren't minified, so that
 * recipients of a report can read what it runs.
 */
import { readFileSync } from 'node:fs';

declare const SECRETS_PAGE_STYLE: string | undefined;
declare const SECRETS_PAGE_SCRIPT: string | undefined;

export function pageStyle(): string {
  return typeof SECRETS_PAGE_STYLE === 'string' ? SECRETS_PAGE_STYLE : source('page.css');
}

export function pageScript(): string {
  return typeof SECRETS_PAGE_SCRIPT === 'string' ? SECRETS_PAGE_SCRIPT : source('page.js');
}

/** Reads from the source tree, in tests. */
function source(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8');
}

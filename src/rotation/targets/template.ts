/**
 * Placeholders such as `{{new.password}}` in the settings of a target: inserts a credential so that none of its
 * characters can escape from its place. The caller's `encode` does the escaping for the context (URL, header, JSON).
 */
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import { utf8 } from '../../core/utf8.ts';
import type { Credential } from '../target.ts';

const PLACE = /\{\{\s*([^{}]*?)\s*\}\}/g;

/** The sources that a placeholder can start with: credentials or texts. */
export type Sources = Readonly<Record<string, Credential | string | undefined>>;

/**
 * Fills in every placeholder.
 * @throws SecretsError Invalid if a credential lacks the key
 */
export function fill(
  template: string,
  sources: Sources,
  encode: (text: string) => string = (text) => text,
): string {
  return template.replace(PLACE, (_all, path: string) => encode(valueAt(path, sources)));
}

/** Fills in the placeholders in the document's strings; keys stay as they are. */
export function fillJson(document: JsonValue, sources: Sources): JsonValue {
  if (typeof document === 'string') return fill(document, sources);
  if (Array.isArray(document)) return document.map((item: JsonValue) => fillJson(item, sources));
  if (!isJsonObject(document)) return document;
  return Object.fromEntries(Object.entries(document).map(([key, item]) => [key, fillJson(item, sources)]));
}

/**
 * Checks that the template names only these sources.
 * @throws SecretsError Usage
 */
export function checkTemplate(template: string, names: readonly string[], where: string): void {
  for (const [all, path = ''] of template.matchAll(PLACE)) {
    const [name = ''] = path.split('.', 1);
    if (!names.includes(name))
      throw new SecretsError('Usage', `${where}: ${all} is not available there`, {
        hint: `known are ${names.map((known) => `{{${known}}}`).join(', ')}, and a key after a dot`,
      });
  }
  if (/\{\{|\}\}/.test(template.replaceAll(PLACE, '')))
    throw new SecretsError('Usage', `${where}: unbalanced braces`);
}

function valueAt(path: string, sources: Sources): string {
  const dot = path.indexOf('.');
  const name = dot === -1 ? path : path.slice(0, dot);
  const key = dot === -1 ? undefined : path.slice(dot + 1);
  const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
  if (typeof source === 'string') return source;
  if (source === undefined)
    throw new SecretsError('Invalid', `there is nothing for {{${path}}}`, {
      hint: 'the secret doesn’t have this version yet',
    });
  if (key === undefined) {
    const text = utf8(source.value);
    if (text === undefined) throw new SecretsError('Invalid', `{{${path}}} is not UTF-8 text`);
    return text;
  }
  const value = Object.hasOwn(source.fields ?? {}, key) ? source.fields?.[key] : undefined;
  if (value === undefined) throw new SecretsError('Invalid', `the secret has no key ${key} for {{${path}}}`);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

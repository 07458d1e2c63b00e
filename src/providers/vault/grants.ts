/**
 * Which of Vault's ACL policies let a path be read. Who has which policy is known to the auth methods alone, so that a
 * grant names the policy.
 * Source: https://developer.hashicorp.com/vault/docs/concepts/policies
 */
import { isJsonObject } from '../../core/json.ts';
import { pool } from '../../core/waiting.ts';
import type { Grant } from '../../core/secret.ts';
import type { VaultClient } from './client.ts';
import { asMap } from './errors.ts';

/** One `path "…" { … }` of a policy. */
export interface PathRule {
  readonly path: string;
  readonly capabilities: readonly string[];
}

export interface Policy {
  readonly name: string;
  readonly rules: readonly PathRule[];
}

const PARALLEL = 8;
/** More than any server should have; the rest is not looked at. */
const MOST_POLICIES = 2000;

/** All policies but `root`, which has no rules. @throws SecretsError Denied when the token may not see them */
export async function readPolicies(client: VaultClient, signal: AbortSignal): Promise<readonly Policy[]> {
  const names = (await client.keys('sys/policies/acl', signal)).filter((name) => name !== 'root');
  const limit = pool(PARALLEL);
  return Promise.all(
    names.slice(0, MOST_POLICIES).map((name) =>
      limit(async () => {
        const { body } = await client.read(`sys/policies/acl/${encodeURIComponent(name)}`, signal);
        return { name, rules: rulesOf(String(asMap(body['data'])['policy'] ?? '')) };
      }),
    ),
  );
}

/** The rules of a policy in HCL or JSON. What is not understood is left out. */
export function rulesOf(text: string): readonly PathRule[] {
  try {
    const parsed: unknown = JSON.parse(text);
    const paths = isJsonObject(parsed) ? parsed['path'] : undefined;
    if (isJsonObject(paths))
      return Object.entries(paths).map(([path, rule]) => ({
        path,
        capabilities: isJsonObject(rule) ? capabilitiesOf(rule['capabilities'], rule['policy']) : [],
      }));
    return [];
  } catch {
    // HCL, as nearly all are.
  }
  const plain = withoutComments(text);
  const rules: PathRule[] = [];
  const head = /\bpath\s*"/g;
  const open = /\s*\{/y;
  while (head.exec(plain) !== null) {
    const start = head.lastIndex;
    head.lastIndex = textEnd(plain, start - 1);
    open.lastIndex = head.lastIndex;
    if (!open.test(plain)) continue;
    const path = plain.slice(start, head.lastIndex - 1);
    const end = blockEnd(plain, open.lastIndex);
    const body = plain.slice(open.lastIndex, end);
    // A path within a path is none, and each part of the text is looked at once, however it is nested.
    head.lastIndex = end;
    const list = /\bcapabilities\s*=\s*\[([^\][]*)\]/.exec(body)?.[1];
    const old = /\bpolicy\s*=\s*"(\w+)"/.exec(body)?.[1];
    const capabilities = list?.match(/"(\w+)"/g)?.map((quoted) => quoted.slice(1, -1));
    rules.push({ path, capabilities: capabilitiesOf(capabilities, old) });
  }
  return rules;
}

/** The form before Vault 0.5, `policy = "read"`, is still taken. */
function capabilitiesOf(list: unknown, old: unknown): readonly string[] {
  if (Array.isArray(list)) return list.map(String);
  if (old === 'read' || old === 'write') return ['read'];
  return old === 'deny' ? ['deny'] : old === 'sudo' ? ['read', 'sudo'] : [];
}

/**
 * Comments begin with #, // or are between slash and star; not within a text. In one pass, as all of the reading: a
 * policy is as long as its server lets it be, and may be written by somebody who has that path alone.
 */
function withoutComments(text: string): string {
  const kept: string[] = [];
  let from = 0;
  let at = 0;
  while (at < text.length) {
    if (text[at] === '"') {
      at = textEnd(text, at);
      continue;
    }
    const end = commentEnd(text, at);
    if (end === undefined) at += 1;
    else {
      kept.push(text.slice(from, at), ' ');
      from = end;
      at = end;
    }
  }
  return kept.join('') + text.slice(from);
}

/** Where the comment that begins here ends, before its newline; `undefined` where none does. */
function commentEnd(text: string, at: number): number | undefined {
  const isBlock = text.startsWith('/*', at);
  if (!isBlock && text[at] !== '#' && !text.startsWith('//', at)) return undefined;
  const end = isBlock ? text.indexOf('*/', at + 2) : text.indexOf('\n', at);
  if (end === -1) return text.length;
  return isBlock ? end + 2 : end;
}

/** What follows the quoted text that begins here; one that has no end is the rest. */
function textEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

/** Where the block is closed that is open here; one that isn't is the rest. */
function blockEnd(text: string, start: number): number {
  let depth = 1;
  let at = start;
  while (at < text.length) {
    if (text[at] === '"') {
      at = textEnd(text, at);
      continue;
    }
    if (text[at] === '{') depth += 1;
    else if (text[at] === '}') depth -= 1;
    if (depth === 0) return at;
    at += 1;
  }
  return text.length;
}

/**
 * What lets a path be read.
 * @param root what all paths of the engine begin with
 */
export function grantsOn(path: string, root: string, policies: readonly Policy[]): readonly Grant[] {
  return policies.flatMap(({ name, rules }) => {
    const rule = bestRule(path, rules);
    if (rule === undefined || rule.capabilities.includes('deny') || !rule.capabilities.includes('read'))
      return [];
    // Every token has the policy `default`.
    const breadth = name === 'default' ? 'wildcard' : coversAll(rule.path, root) ? 'account' : 'named';
    return [
      {
        principal: name === 'default' ? 'every token' : `policy ${name}`,
        breadth,
        through: `the policy ${name}, path ${rule.path}`,
        shared: true,
      },
    ];
  });
}

/** The rule that counts: the exact path, else the one whose wildcard comes last. */
function bestRule(path: string, rules: readonly PathRule[]): PathRule | undefined {
  const fitting = rules.filter((rule) => fits(rule.path, path));
  const weight = ({ path: pattern }: PathRule): number => {
    if (pattern === path) return Number.MAX_SAFE_INTEGER;
    const wild = pattern.search(/\+|\*$/);
    return (wild === -1 ? pattern.length : wild) * 1000 + pattern.length;
  };
  return fitting.toSorted((a, b) => weight(b) - weight(a))[0];
}

/** `*` at the end is any rest, `+` one segment. */
function fits(pattern: string, path: string): boolean {
  const prefix = pattern.endsWith('*');
  const parts = (prefix ? pattern.slice(0, -1) : pattern).split('/');
  const segments = path.split('/');
  if (prefix ? segments.length < parts.length : segments.length !== parts.length) return false;
  return parts.every((part, index) => {
    const segment = segments[index] ?? '';
    if (part === '+') return true;
    return prefix && index === parts.length - 1 ? segment.startsWith(part) : segment === part;
  });
}

/** Whether a pattern takes in everything of the engine, or more. */
function coversAll(pattern: string, root: string): boolean {
  return pattern.endsWith('*') && fits(pattern, `${root}\u0001`);
}

/**
 * Finds the ACL policies that allow reading a path. Only the auth methods know who has which policy, so a grant names
 * the policy. Source: https://developer.hashicorp.com/vault/docs/concepts/policies
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
  /** More is asked for than the capability, such as a control group's approval. */
  readonly conditional?: boolean;
}

export interface Policy {
  readonly name: string;
  readonly rules: readonly PathRule[];
}

/** Settings of a rule that keep some reads from succeeding. */
const CONDITION = /\b(?:control_group|min_wrapping_ttl|max_wrapping_ttl|required_parameters)\b/;
const PARALLEL = 8;
/** More than any server should have; the rest is ignored. */
const MOST_POLICIES = 2000;

/** All policies except `root`, which has no rules. @throws SecretsError Denied if the token may not see them */
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

/** The rules of a policy in HCL or JSON. Unknown parts are ignored. */
export function rulesOf(text: string): readonly PathRule[] {
  try {
    const parsed: unknown = JSON.parse(text);
    const paths = isJsonObject(parsed) ? parsed['path'] : undefined;
    if (isJsonObject(paths))
      return Object.entries(paths).map(([path, rule]) => ({
        path: relative(path),
        capabilities: isJsonObject(rule) ? capabilitiesOf(rule['capabilities'], rule['policy']) : [],
        ...(CONDITION.test(JSON.stringify(rule)) && { conditional: true }),
      }));
    return [];
  } catch {
    // HCL, like nearly all policies.
  }
  const plain = withoutComments(text);
  const rules: PathRule[] = [];
  // Keys may be quoted.
  const head = /\bpath"?\s*"/g;
  const open = /\s*\{/y;
  while (head.exec(plain) !== null) {
    const start = head.lastIndex;
    head.lastIndex = textEnd(plain, start - 1);
    open.lastIndex = head.lastIndex;
    if (!open.test(plain)) continue;
    const path = relative(unescaped(plain.slice(start, head.lastIndex - 1)));
    const end = blockEnd(plain, open.lastIndex);
    const body = plain.slice(open.lastIndex, end);
    // A path inside a path isn't a rule; skipping it also means that each part of the text is read only once, however
    // deeply it is nested.
    head.lastIndex = end;
    const list = /\bcapabilities"?\s*=\s*\[([^\][]*)\]/.exec(body)?.[1];
    const old = /\bpolicy"?\s*=\s*"(\w+)"/.exec(body)?.[1];
    const capabilities = list?.match(/"(\w+)"/g)?.map((quoted) => quoted.slice(1, -1));
    rules.push({
      path,
      capabilities: capabilitiesOf(capabilities, old),
      ...(CONDITION.test(body) && { conditional: true }),
    });
  }
  return rules;
}

/** Vault ignores a slash before a path. */
function relative(path: string): string {
  return path.replace(/^\//, '');
}

const ESCAPES = new Map(
  Object.entries({ a: '\u0007', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }),
);

/** The text that a string in HCL stands for. */
function unescaped(text: string): string {
  return text.replaceAll(
    /\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|x([0-9a-f]{2})|([0-7]{3})|([\s\S]))/gi,
    (_all, ...[u, long, x, octal, one]: readonly (string | undefined)[]) => {
      const hex = u ?? long ?? x;
      const code = hex === undefined ? Number.parseInt(octal ?? '', 8) : Number.parseInt(hex, 16);
      if (!Number.isNaN(code)) return code <= 0x10_ff_ff ? String.fromCodePoint(code) : '\ufffd';
      return ESCAPES.get(one ?? '') ?? one ?? '';
    },
  );
}

/** The form before Vault 0.5, `policy = "read"`, is still accepted. */
function capabilitiesOf(list: unknown, old: unknown): readonly string[] {
  if (Array.isArray(list)) return list.map(String);
  if (old === 'read' || old === 'write') return ['read'];
  return old === 'deny' ? ['deny'] : old === 'sudo' ? ['read', 'sudo'] : [];
}

/**
 * Removes comments (`#`, `//` and block comments) outside strings. Runs in one pass, like all of the parsing: a policy
 * can be as long as the server allows, and may be written by someone who has only that right.
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

/** The end of the comment that starts here, before its newline; `undefined` if none starts here. */
function commentEnd(text: string, at: number): number | undefined {
  const isBlock = text.startsWith('/*', at);
  if (!isBlock && text[at] !== '#' && !text.startsWith('//', at)) return undefined;
  const end = isBlock ? text.indexOf('*/', at + 2) : text.indexOf('\n', at);
  if (end === -1) return text.length;
  return isBlock ? end + 2 : end;
}

/** The position after the string that starts here; the end of the text if it isn't closed. */
function textEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

/** The end of the block that is open here; the end of the text if it isn't closed. */
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
 * The grants for reading a path.
 * @param root the common prefix of all of the engine's paths
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

/** The rule that applies: the exact path, otherwise the rule with the latest wildcard. */
function bestRule(path: string, rules: readonly PathRule[]): PathRule | undefined {
  const fitting = rules.filter((rule) => fits(rule.path, path));
  const weight = ({ path: pattern }: PathRule): number => {
    if (pattern === path) return Number.MAX_SAFE_INTEGER;
    const wild = pattern.search(/\+|\*$/);
    return (wild === -1 ? pattern.length : wild) * 1000 + pattern.length;
  };
  return fitting.toSorted((a, b) => weight(b) - weight(a))[0];
}

/** A trailing `*` matches any rest, `+` matches one segment. */
export function fits(pattern: string, path: string): boolean {
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

/** Whether a pattern covers the whole engine, or more. */
function coversAll(pattern: string, root: string): boolean {
  return pattern.endsWith('*') && fits(pattern, `${root}\u0001`);
}

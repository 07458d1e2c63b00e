/** The text of a grant's policy, and what it says about itself. */
import { isJsonObject } from '../../core/json.ts';

const HEAD = '# Written by secrets access grant; secrets access revoke deletes it.';
const RECORD = '# grant ';

/** What a policy of ours says about itself. */
export interface Written {
  readonly path: string;
  readonly principal: string;
  /** Where the policy is assigned. */
  readonly assigned: string;
}

export function policyText(path: string, written: Written): string {
  return [HEAD, RECORD + JSON.stringify(written), ruleText(path), ''].join('\n');
}

function ruleText(path: string): string {
  return `path ${JSON.stringify(path)} {\n  capabilities = ["read"]\n}`;
}

/** Whether the policy has the one rule that a grant writes. Its record may name the principal as it was called then. */
export function isAsWritten(text: string, path: string): boolean {
  const lines = text.split('\n');
  return (
    lines[0] === HEAD &&
    recordIn(text)?.path === path &&
    lines.slice(2).join('\n').trimEnd() === ruleText(path)
  );
}

export function recordIn(text: string): Written | undefined {
  const line = text.split('\n', 2)[1] ?? '';
  if (!line.startsWith(RECORD)) return undefined;
  try {
    const record: unknown = JSON.parse(line.slice(RECORD.length));
    if (!isJsonObject(record)) return undefined;
    const { path, principal, assigned } = record;
    const isWhole = [path, principal, assigned].every((field) => typeof field === 'string');
    // The place is read from: nothing but where an assignment can be.
    const isPlace = /^(?:identity\/group\/name|auth)\/[^?#]+$/.test(String(assigned));
    return isWhole && isPlace && !String(assigned).split('/').includes('..')
      ? { path: String(path), principal: String(principal), assigned: String(assigned) }
      : undefined;
  } catch {
    return undefined;
  }
}

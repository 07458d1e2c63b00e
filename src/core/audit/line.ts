/** Parses one line of an audit log: what it claims, and whether its hash and form confirm that. */
import type { AuditRecord } from './record.ts';
import { canonicalJson, sha256 } from './chain.ts';
import type { Position } from './problems.ts';
import { isJsonObject } from '../json.ts';

export interface Item extends Position {
  readonly record: AuditRecord | undefined;
  readonly seq: number | undefined;
  readonly prev: string | undefined;
  /** The hash that the record claims, and the hash that it actually has. */
  readonly claimed: string | undefined;
  readonly actual: string | undefined;
  readonly sound: boolean;
}

export function parseItem(line: string, position: Position): Item {
  const none = {
    record: undefined,
    seq: undefined,
    prev: undefined,
    claimed: undefined,
    actual: undefined,
    sound: false,
  };
  try {
    const record: unknown = JSON.parse(line);
    if (!isJsonObject(record)) return { ...position, ...none };
    const { seq, prev, hash } = record;
    const all: string[] = [];
    const hashed: string[] = [];
    for (const name of Object.keys(record).sort()) {
      const member = `${JSON.stringify(name)}:${canonicalJson(record[name])}`;
      all.push(member);
      if (name !== 'hash') hashed.push(member);
    }
    const actual = sha256(`{${hashed.join(',')}}`);
    // The bytes must match too: other readers might interpret a repeated member or white space differently.
    const isSame = `{${all.join(',')}}` === line;
    const isNumbered = typeof seq === 'number' && Number.isSafeInteger(seq) && seq > 0;
    return {
      ...position,
      record: record as unknown as AuditRecord,
      seq: isNumbered ? seq : undefined,
      prev: typeof prev === 'string' ? prev : undefined,
      claimed: typeof hash === 'string' ? hash : undefined,
      actual,
      sound: isSame && isNumbered && actual === hash && record['v'] === 1,
    };
  } catch {
    return { ...position, ...none };
  }
}

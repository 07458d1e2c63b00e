/** Our own log as a stream of events, oldest first: closed files, then the one that is written. */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { AuditEvent } from '../../core/audit.ts';
import { isJsonObject } from '../../core/json.ts';
import { codeOf } from '../../files.ts';

/** Accesses between two times; a line that is none is left out, which `audit verify` would say. */
export async function* ownEvents(path: string, since: Date, until: Date): AsyncIterable<AuditEvent> {
  const from = since.toISOString();
  const to = until.toISOString();
  for (const file of await filesOf(path)) {
    try {
      for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
        const event = eventOf(line);
        if (event !== undefined && event.time >= from && event.time <= to) yield event;
      }
    } catch (thrown) {
      if (codeOf(thrown) !== 'ENOENT') throw thrown;
    }
  }
}

async function filesOf(path: string): Promise<readonly string[]> {
  const prefix = `${basename(path).replace(/\.jsonl$/, '')}-`;
  const folder = dirname(path);
  const entries = await readdir(folder).catch((thrown: unknown) => {
    if (codeOf(thrown) === 'ENOENT') return [];
    throw thrown;
  });
  const closed = entries.filter(
    (entry) => entry.startsWith(prefix) && /^\d{10,16}-\d{10,16}\.jsonl$/.test(entry.slice(prefix.length)),
  );
  return [...closed.toSorted().map((entry) => join(folder, entry)), path];
}

function eventOf(line: string): AuditEvent | undefined {
  try {
    const record: unknown = JSON.parse(line);
    if (!isJsonObject(record) || (record['kind'] ?? 'access') !== 'access') return undefined;
    if (typeof record['time'] !== 'string' || !isJsonObject(record['actor'])) return undefined;
    return record as unknown as AuditEvent;
  } catch {
    return undefined;
  }
}

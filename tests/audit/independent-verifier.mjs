// An independent verifier of the audit log, written from docs/audit-log.md alone. It must stay so: it imports nothing of
// src/, and changes only where the page does. Section numbers ("s4") are those of that page. Only node: built-ins.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

const sha256 = (data) => createHash('sha256').update(data).digest('hex');
// s2: RFC 8785 for strings, integers, arrays, objects and literals. ECMAScript sorts and writes them as it says.
const canonical = (value) =>
  Array.isArray(value)
    ? `[${value.map(canonical).join(',')}]`
    : value !== null && typeof value === 'object'
      ? `{${Object.keys(value)
          .sort()
          .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)
          .join(',')}}`
      : JSON.stringify(value);
const without = (object, ...names) =>
  Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));

// s1: the log and its closed files, oldest first.
function filesOf(path) {
  const base = basename(path, '.jsonl');
  const closed = readdirSync(dirname(path))
    .map((name) => [
      name,
      name.startsWith(`${base}-`) && /^-([0-9]{10,})-[0-9]{10,}\.jsonl$/.exec(name.slice(base.length)),
    ])
    .filter(([, match]) => match)
    .sort(([, a], [, b]) => Number(a[1]) - Number(b[1]))
    .map(([name]) => join(dirname(path), name));
  return existsSync(path) ? [...closed, path] : closed;
}

// s5
function parseHead(line) {
  const match = /^(([0-9]{16}) ([0-9a-f]{64})) ([0-9a-f]{8})\n$/.exec(line);
  if (!match || sha256(match[1]).slice(0, 8) !== match[4]) return undefined;
  return { seq: Number(match[2]), hash: match[3] };
}
function headsIn(file) {
  if (!existsSync(file)) return [];
  return (readFileSync(file, 'latin1').match(/[^\n]*\n/g) ?? []).map(parseHead).filter(Boolean);
}
// s5: of the second head's two lines the higher one counts.
const secondHeadIn = (file) => headsIn(file).sort((a, b) => b.seq - a.seq)[0];

// s3
function signatureIsRight(record) {
  const { key, publicKey, signature } = record.checkpoint ?? {};
  if ([key, publicKey, signature].some((text) => typeof text !== 'string')) return false;
  const der = Buffer.from(publicKey, 'base64');
  if (sha256(der) !== key) return false;
  const unsigned = { ...without(record, 'hash'), checkpoint: without(record.checkpoint, 'signature') };
  const text = `secrets-audit-checkpoint-1\n${canonical(unsigned)}`;
  const publicKeyObject = createPublicKey({ key: der, format: 'der', type: 'spki' });
  return verify(null, Buffer.from(text), publicKeyObject, Buffer.from(signature, 'base64'));
}

/** What is wrong with a log, one line each; none: it is whole (s4). heads: the folder of second heads, if any (s1). */
export function verifyLog(path, { trusted, anchors = [], heads } = {}) {
  const wrong = [];
  const secondFile = heads && join(heads, `${sha256(path).slice(0, 16)}.head`);
  const second = secondFile && secondHeadIn(secondFile);
  const own = [headsIn(path.replace(/\.jsonl$/, '.head'))[0], second].filter((head) => head?.seq > 0);
  const hashes = new Map();
  const explanations = [];
  let repairs = [];
  let namesSecond = false;
  let before;
  let first;
  for (const file of filesOf(path)) {
    const bytes = readFileSync(file);
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end < bytes.length && file !== path) wrong.push(`${file} ends without a line feed`);
    const lines = end === 0 ? [] : bytes.toString('latin1', 0, end - 1).split('\n');
    for (const [index, latin1] of lines.entries()) {
      const where = `${basename(file)}:${index + 1}`;
      let record;
      try {
        const line = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
          Buffer.from(latin1, 'latin1'),
        );
        record = JSON.parse(line);
        if (canonical(record) !== line) throw new Error('not canonical');
      } catch (error) {
        wrong.push(`${where}: ${error.message}`);
        continue;
      }
      const { seq, prev, hash, kind, checkpoint, repair } = record;
      if (record.v !== 1 || hash !== sha256(canonical(without(record, 'hash'))))
        wrong.push(`${where}: its hash`);
      first ??= record;
      if (before ? seq !== before.seq + 1 || prev !== before.hash : seq === 1 && prev !== '0'.repeat(64))
        wrong.push(`${where}: does not follow`);
      if ((seq === 1 || seq % 256 === 0) && kind !== 'checkpoint') wrong.push(`${where}: no checkpoint`);
      if (['lost', 'no-head'].includes(repair?.found)) repairs.push(`${where}: ${repair.found}`);
      if (kind === 'checkpoint') {
        if (!signatureIsRight(record) || (trusted && !trusted.includes(checkpoint?.key)))
          wrong.push(`${where}: its signature`);
        else {
          explanations.push(checkpoint);
          if (checkpoint.accepted) repairs = [];
          namesSecond =
            checkpoint.secondHead === sha256(`${hostname()}\n${secondFile}`).slice(0, 16) && !!secondFile;
        }
      }
      hashes.set(seq, hash);
      before = record;
    }
  }
  wrong.push(...repairs);
  // s7
  const n = (first?.seq ?? 1) - 1;
  const explained = explanations.some(
    ({ removed: r, accepted: a }) =>
      (a?.from === n + 1 && a.hash === first.prev) ||
      (r?.from === 1 && (n < r.to || (n === r.to && r.hash === first.prev))),
  );
  if (n > 0 && !explained) wrong.push(`the log begins with ${first.seq}`);
  for (const { seq, hash } of [...own, ...anchors])
    if (seq <= n ? !explained : hashes.get(seq) !== hash)
      wrong.push(`record ${seq} is not the one that is known`);
  if (namesSecond && !second) wrong.push('the second head is gone');
  return wrong;
}

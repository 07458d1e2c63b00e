// An independent reader of the local store, format 1, written from docs/local-store.md alone, by somebody who had not
// seen the program. It must stay so: it imports nothing of src/, and changes only where the page does.
// Section numbers below ("s3") are those of that page. Only node: built-ins; `age-encryption` for age stores.
import { createDecipheriv, createHmac, hkdfSync, scryptSync } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { missing, replay } from './independent-history.mjs';

// Every error has a code: not-found, integrity, unknown-format, not-authenticated, refused or usage.
const fail = (code, message) => {
  throw Object.assign(new Error(message), { code });
};
const AGAIN = Symbol('a renewal went on meanwhile: begin again');
const isHex = (s, digits) => typeof s === 'string' && s.length === digits && /^[0-9a-f]*$/.test(s);
const isCount = (n) => Number.isSafeInteger(n) && n >= 0;
const isObject = (o) => typeof o === 'object' && o !== null && !Array.isArray(o);
const associated = (...parts) => Buffer.from(parts.join('\0'), 'utf8');

// Strict base64 with padding; undefined for anything else.
function base64(text, length) {
  const bytes = Buffer.from(typeof text === 'string' ? text : '', 'base64');
  return bytes.toString('base64') === text && (length ?? bytes.length) === bytes.length ? bytes : undefined;
}
// UTF-8 without a byte order mark that is a JSON object; undefined for anything else.
function jsonObject(bytes) {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
// s1: nonce (12) + ciphertext + tag (16). Undefined if it does not open.
function openBox(key, box, aad) {
  if (box.length < 28) return undefined;
  const gcm = createDecipheriv('aes-256-gcm', key, box.subarray(0, 12), { authTagLength: 16 });
  gcm.setAAD(aad).setAuthTag(box.subarray(-16));
  try {
    return Buffer.concat([gcm.update(box.subarray(12, -16)), gcm.final()]);
  } catch {
    return undefined;
  }
}
const derive = (key, saltHex, info) =>
  Buffer.from(hkdfSync('sha256', key, Buffer.from(saltHex, 'hex'), info, 32));
// Reads a plain file without following a link; `check` looks at the opened file's stat.
function readPlain(path, onError, check) {
  let fd;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    if (!fstatSync(fd).isFile()) throw Object.assign(new Error('not a plain file'), { code: 'ENOTFILE' });
    check?.(fstatSync(fd));
    return readFileSync(fd);
  } catch (error) {
    return onError(error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
// s4: another user's, or with any of these permission bits: refused. (Windows has neither.)
function checkOwner({ uid, mode }, path, bits) {
  if (process.getuid && (uid !== process.getuid() || mode & bits)) {
    fail('refused', `${path} belongs to another user, or grants too much to group or others`);
  }
}

// ---- Manifest (s3) and keys (s4)
// The highest revision of which there is a manifest, 0 for none.
const highestRevision = (folder) =>
  Math.max(
    0,
    ...readdirSync(folder).map((name) => Number(/^manifest-([0-9]{10})\.json$/.exec(name)?.[1] ?? 0)),
  );
function readManifest(folder) {
  const revision = highestRevision(folder);
  if (revision === 0) {
    const secrets = join(folder, 'secrets');
    const lost = existsSync(secrets) && readdirSync(secrets).some((name) => FOLDER.visible.test(name));
    if (lost) fail('integrity', `${folder} has secrets but no manifest: it was lost`);
    fail('not-found', `there is no store in ${folder} (no manifest)`);
  }
  const file = `manifest-${String(revision).padStart(10, '0')}.json`;
  const bad = (why) => fail('integrity', `${file}: ${why}`);
  const gone = (error) => {
    if (error.code === 'ENOENT') throw AGAIN;
    return fail('refused', `${file} cannot be read (${error.code})`);
  };
  const bytes = readPlain(join(folder, file), gone);
  const m = jsonObject(bytes) ?? bad('not a JSON object');
  if (typeof m.format === 'number' && m.format > 1)
    fail('unknown-format', `${file}: format ${m.format} is newer than this reader, which knows 1`);
  if (m.format !== 1) bad('no valid "format"');
  const k = isObject(m.key) ? m.key : bad('no valid "key"');
  const [wrapped, salt, sealed] = [base64(k.wrapped), base64(k.salt, 16), base64(m.sealed)];
  const recipients = k.recipients ?? [];
  const members = {
    store: isHex(m.store, 32),
    revision: m.revision === revision,
    names: ['hidden', 'visible'].includes(m.names),
    sealed,
    'key.id': isHex(k.id, 16),
    'key.method': ['keychain', 'key-file', 'passphrase', 'age'].includes(k.method),
    'key.wrapped': wrapped,
    'key.salt': k.method === 'passphrase' ? salt : k.salt === undefined,
    'key.recipients':
      k.method === 'age'
        ? Array.isArray(recipients) &&
          recipients.length > 0 &&
          recipients.every((r) => typeof r === 'string' && /^age1[0-9a-z]+$/.test(r))
        : k.recipients === undefined,
  };
  for (const [member, valid] of Object.entries(members)) if (!valid) bad(`no valid "${member}"`);
  const aad = associated(
    'secrets-local/1/manifest',
    '1',
    m.store,
    String(revision),
    m.names,
    k.id,
    k.method,
    k.wrapped,
    k.salt ?? '',
    recipients.join('\n'),
  );
  return {
    store: m.store,
    revision,
    names: m.names,
    keyId: k.id,
    method: k.method,
    wrapped,
    salt,
    sealed,
    aad,
    bad,
  };
}
// The key-encryption key, for all methods but age.
function keyEncryptionKey(m, unlock) {
  const wrong = () =>
    fail('usage', `the store's key is kept by method "${m.method}"; that is not what was given`);
  if (m.method === 'passphrase') {
    if (typeof unlock.passphrase !== 'string') wrong();
    const cost = { N: 131072, r: 8, p: 1, maxmem: 2 ** 28 };
    return scryptSync(Buffer.from(unlock.passphrase.normalize('NFC'), 'utf8'), m.salt, 32, cost);
  }
  const notBase64 = () => fail('integrity', 'the key that was given is not of the form of format 1');
  if (m.method === 'keychain') {
    return (
      base64(
        Buffer.from(unlock.key ?? wrong())
          .toString('latin1')
          .trim(),
        32,
      ) ?? notBase64()
    );
  }
  const path = unlock.keyFile ?? wrong();
  const unreadable = (error) =>
    fail(
      error.code === 'refused' ? 'refused' : 'not-authenticated',
      `cannot read the key file: ${error.message}`,
    );
  const text = readPlain(path, unreadable, (stat) => checkOwner(stat, path, 0o077))
    .toString('latin1')
    .trim();
  return base64(/^secrets-local-key-1:(.*)$/.exec(text)?.[1], 32) ?? notBase64();
}
async function unwrapDataKey(m, unlock) {
  let dataKey;
  if (m.method === 'age') {
    if (!unlock.identities) fail('usage', 'the store is encrypted with age: give "identities"');
    const decrypter = new (await import('age-encryption')).Decrypter();
    for (const identity of unlock.identities) decrypter.addIdentity(identity);
    try {
      dataKey = Buffer.from(await decrypter.decrypt(m.wrapped));
    } catch (error) {
      fail('not-authenticated', `none of the age identities opens the data key (${error.message})`);
    }
  } else {
    const aad = associated('secrets-local/1/key', m.store, m.keyId, m.method);
    dataKey = openBox(keyEncryptionKey(m, unlock), m.wrapped, aad);
    if (!dataKey && m.method === 'passphrase')
      fail('not-authenticated', 'wrong passphrase (or damaged manifest)');
    if (!dataKey) fail('integrity', `wrong key: it does not open the data key (${m.method})`);
  }
  return dataKey.length === 32 ? dataKey : m.bad('the data key is not of 32 bytes');
}
// All keys: the name key, and a map from data key id to data key.
async function openKeys(m, unlock) {
  const dataKey = await unwrapDataKey(m, unlock);
  const plain =
    openBox(derive(dataKey, m.store, 'secrets-local/1/manifest'), m.sealed, m.aad) ??
    m.bad('the sealed part does not open: the manifest was changed');
  const { nameKey, retired } = jsonObject(plain) ?? {};
  const all = [
    { id: m.keyId, key: dataKey.toString('base64') },
    ...(Array.isArray(retired) ? retired : [undefined]),
  ];
  const valid = base64(nameKey, 32) && all.every((old) => isHex(old?.id, 16) && base64(old.key, 32));
  if (!valid) m.bad('no valid name key, or retired keys');
  return {
    nameKey: base64(nameKey),
    dataKeys: new Map(all.reverse().map(({ id, key }) => [id, base64(key)])),
  };
}

// ---- Names (s6)
function folderOfName(store, name) {
  const hidden = () =>
    createHmac('sha256', store.nameKey).update(`name\0${name}`, 'utf8').digest('hex').slice(0, 40);
  if (store.names === 'hidden') return hidden();
  const text = Buffer.from(name, 'utf8')
    .toString('latin1')
    .replace(/[^a-z0-9_-]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return text.length > 200 ? `${text.slice(0, 158)}%~${hidden()}` : text;
}
// What the name of a secret's folder looks like; others are ignored.
const FOLDER = {
  hidden: /^[0-9a-f]{40}$/,
  visible: /^(?:[a-z0-9_%-]{1,200}|[a-z0-9_%-]{158}%~[0-9a-f]{40})$/,
};

// ---- Entries (s5)
// Is this plain text an entry of format 1?
function isEntry(e) {
  const isText = (s) => typeof s === 'string',
    isId = (s) => isHex(s, 32);
  const optional = (value, test) => value === undefined || test(value);
  const isLabels = (o) => isObject(o) && Object.values(o).every((text) => text === null || isText(text));
  if (!isObject(e) || !isText(e.name) || !optional(e.parent, isId) || !optional(e.by, isText)) return false;
  if (e.type === 'delete' || e.type === 'restore') return true;
  if (e.type === 'current') return isId(e.target);
  const isVersion = (o) =>
    isCount(o.version) &&
    (o.stage === 'current' || o.stage === 'pending') &&
    optional(o.labels, isLabels) &&
    optional(o.description, isText);
  if (e.type === 'value') return isVersion(e) && !!base64(e.value) && optional(e.expires, isCount);
  const r = e.removed;
  if (e.type !== 'destroy' || !isId(e.target) || !isObject(r)) return false;
  return (
    isVersion(r) && isCount(r.number) && isCount(r.time) && optional(r.parent, isId) && optional(r.by, isText)
  );
}
// One file: { file, number, time, id } with `data` (the plain text), or with `why` it is damaged.
function readEntry(store, secret, file) {
  const [number, time, id] = file.slice(0, -'.sealed'.length).split('-');
  const entry = { file, number: Number(number), time: Number(time), id };
  const damaged = (why) => ({ ...entry, why });
  const onError = (error) => {
    if (error.code === 'ENOENT') throw error;
    return fail('refused', `${file} cannot be read (${error.code})`); // s2: a link, or no plain file
  };
  const bytes = readPlain(join(store.folder, 'secrets', secret, file), onError);
  if (bytes.length < 34) return damaged('shorter than its header');
  const inHeader = `${bytes.toString('latin1', 0, 4)} ${bytes.toString('hex', 12, 28)} ${bytes.readUIntBE(28, 6)}`;
  if (inHeader !== `SLE1 ${id} ${entry.time}`) return damaged('magic, id or time in the header is wrong');
  const keyId = bytes.toString('hex', 4, 12),
    dataKey = store.dataKeys.get(keyId);
  if (!dataKey && highestRevision(store.folder) > store.revision) throw AGAIN; // s9
  if (!dataKey) return damaged(`its data key ${keyId} is not known`);
  const aad = associated('secrets-local/1/event', store.storeId, keyId, secret, file);
  const plain = openBox(derive(dataKey, id, 'secrets-local/1/event'), bytes.subarray(34), aad);
  if (!plain) return damaged('does not open: it was changed, moved or renamed');
  const data = jsonObject(plain);
  if (!isEntry(data)) return damaged('its plain text is not an entry of format 1');
  if (folderOfName(store, data.name) !== secret) return damaged('its name does not belong to this folder');
  return { ...entry, data };
}
// All entries of a secret in order. Listed again while files go away under our hands (s9).
function readEntries(store, secret) {
  const folder = join(store.folder, 'secrets', secret);
  const sought = new Set();
  for (let tries = 0; tries < 100 && existsSync(folder); tries++) {
    try {
      const files = readdirSync(folder)
        .filter((file) => /^[0-9]{10}-[0-9]{14}-[0-9a-f]{32}\.sealed$/.test(file))
        .sort();
      const entries = files.map((file) => readEntry(store, secret, file));
      // A listing is not atomic: it can miss both a new destroy entry and the file that it removed. Look twice.
      const nowhere = missing(entries);
      if (nowhere.every(({ id }) => sought.has(id))) return entries;
      for (const { id } of nowhere) sought.add(id);
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
  return existsSync(folder) ? [{ file: '', why: 'its files keep going away' }] : []; // purged meanwhile
}

// ---- The store
async function readOnce(folder, unlock) {
  const m = readManifest(folder);
  // s4: with age, others may read the folder (not write to it).
  checkOwner(lstatSync(folder), folder, m.method === 'age' ? 0o022 : 0o077);
  const keys = await openKeys(m, unlock).catch((error) => {
    throw highestRevision(folder) > m.revision ? AGAIN : error;
  });
  const store = { folder, storeId: m.store, revision: m.revision, names: m.names, ...keys };
  const secrets = new Map(),
    damaged = [];
  const parent = lstatSync(join(folder, 'secrets'), { throwIfNoEntry: false }); // missing: no secret yet
  if (parent && !parent.isDirectory()) fail('refused', 'secrets is a link, or not a folder');
  const found = parent ? readdirSync(join(folder, 'secrets'), { withFileTypes: true }) : [];
  for (const item of found.filter((each) => FOLDER[m.names].test(each.name))) {
    const where = `secrets/${item.name}`;
    if (!item.isDirectory()) fail('refused', `${where} is a link, or not a folder`);
    const entries = readEntries(store, item.name);
    const name = entries.find((e) => e.data)?.data.name;
    if (name === undefined) {
      // Empty, or nothing in it opens.
      for (const e of entries) damaged.push({ where: join(where, e.file), why: e.why });
      continue;
    }
    const { secret, damage, uncertain } = replay(entries);
    for (const { file, why } of damage) damaged.push({ where: join(where, file ?? ''), why });
    if (uncertain)
      damaged.push({ where, why: `the current version of ${JSON.stringify(name)} cannot be told` });
    secrets.set(name, secret);
  }
  return { storeId: m.store, names: m.names, secrets, damaged };
}
export async function readStore(folder, unlock) {
  const stat =
    lstatSync(folder, { throwIfNoEntry: false }) ?? fail('not-found', `there is no folder ${folder}`);
  if (!stat.isDirectory()) fail('refused', `${folder} is a link, or not a folder`);
  for (let tries = 0; tries < 20; tries++) {
    try {
      return await readOnce(folder, unlock);
    } catch (error) {
      if (error !== AGAIN) throw error;
    }
  }
  return fail('integrity', `the manifest of ${folder} keeps changing`);
}

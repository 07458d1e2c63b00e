// The part of the independent reader that makes versions of entries: sections 7 and 8 of docs/local-store.md.
// An entry here is one file: { file, number, time, id } with `data`, its plain text, or with `why` it is damaged.

const inOrder = (a, b) => a.number - b.number || a.time - b.time || (a.id < b.id ? -1 : 1);

// The entries that count, in order: what was destroyed is replaced by what its `destroy` entry says of it.
function settled(entries) {
  const removed = new Map();
  for (const { data } of entries) {
    if (data?.type !== 'destroy') continue;
    const { number, time, ...rest } = data.removed;
    removed.set(data.target, {
      number,
      time,
      id: data.target,
      gone: true,
      data: { ...rest, type: 'value', name: data.name },
    });
  }
  return [...entries.filter((e) => !removed.has(e.id)), ...removed.values()].sort(inOrder);
}

// Entries that another one names and that are nowhere (s8), each with the place in the order that counts for it.
export function missing(entries) {
  const all = settled(entries);
  const ids = new Set(all.map((e) => e.id));
  // What can be a version: a damaged file, too.
  const versions = new Set(all.filter((e) => !e.data || e.data.type === 'value').map((e) => e.id));
  return all.flatMap(({ number, time, data, id }) => {
    const found = [];
    const why = (other, what) => `a file is missing: entry ${other}, ${what} ${id}`;
    if (data?.parent && !ids.has(data.parent))
      found.push({
        id: data.parent,
        at: { number: number - 1, time: Infinity, id: '' },
        why: why(data.parent, 'parent of'),
      });
    if (data?.type === 'current' && !versions.has(data.target))
      found.push({ id: data.target, at: { number, time, id }, why: why(data.target, 'made current by') });
    return found;
  });
}

export function replay(files) {
  const entries = settled(files);
  const destroyed = new Set(entries.filter((e) => e.gone).map((e) => e.id));
  const versions = new Map(); // by entry id
  const labels = new Map();
  const damage = [...missing(files), ...entries.filter((e) => e.why)];
  let current, previous, pending, description, deletedAt;
  let promotedBy; // P of s8
  const promote = (id, by) => {
    if (destroyed.has(id)) return;
    promotedBy = by;
    if (current === id) return;
    previous = current;
    current = id;
    if (pending === id) pending = undefined;
  };
  for (const e of entries) {
    const d = e.data;
    if (d?.type === 'value') {
      for (const [key, text] of Object.entries(d.labels ?? {})) labels.set(key, text);
      description = d.description ?? description;
      versions.set(e.id, { ...d, number: d.version, time: e.time, entry: e.id });
      deletedAt = undefined;
      if (d.stage === 'current') promote(e.id, e);
      else pending = e.gone ? undefined : e.id;
    } else if (d?.type === 'current') {
      deletedAt = undefined;
      promote(d.target, e);
    } else if (d?.type === 'delete') {
      deletedAt ??= e.time;
      pending = undefined;
    } else if (d?.type === 'restore') deletedAt = undefined;
  }
  // Which of the three stages can be trusted in spite of damage. The short cut: the last entry is the current value.
  const last = files.at(-1);
  const shortCut = last.data?.type === 'value' && last.data.stage === 'current' && current === last.id;
  const lost = current !== undefined && !versions.has(current);
  const forked = new Set(entries.map((e) => e.number)).size < entries.length;
  const certain = forked ? entries.find((e) => e.id === current) : promotedBy;
  const isAfter = (one) => certain === undefined || inOrder(certain, one.at ?? one) < 0;
  const uncertain = !shortCut && (lost || damage.some(isAfter));
  if (uncertain) current = undefined;
  if (damage.length > 0) previous = pending = undefined;
  const deleted = deletedAt !== undefined;
  const show = (v, _, all) => {
    const twins = all.filter((other) => other.number === v.number);
    const fork = twins.length > 1 ? `.${v.entry.slice(0, 8)}` : '';
    const gone = destroyed.has(v.entry);
    const shown = { id: `${v.number}${fork}`, number: v.number, state: gone ? 'destroyed' : 'enabled' };
    const stages = Object.entries({ current, previous, pending });
    shown.stages = stages.filter(([, id]) => id === v.entry).map(([key]) => key);
    shown.createdAt = new Date(v.time);
    if (v.by !== undefined) shown.by = v.by;
    if (gone) return { ...shown, note: 'destroyed: the value is gone for good' };
    if (v.expires !== undefined) shown.expiresAt = new Date(v.expires);
    return deleted ? { ...shown, note: 'deleted' } : { ...shown, value: Buffer.from(v.value, 'base64') };
  };
  const newestFirst = (a, b) => b.number - a.number || b.time - a.time || (a.entry < b.entry ? 1 : -1);
  const list = [...versions.values()].sort(newestFirst).map(show);
  const kept = Object.fromEntries([...labels].filter(([, text]) => text !== null));
  return { secret: { deleted, deletedAt, labels: kept, description, versions: list }, damage, uncertain };
}

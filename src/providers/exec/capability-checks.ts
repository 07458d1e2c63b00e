/** Checks of the capabilities that a plugin declares beyond reading and writing. */
import type { VersionInfo } from '../../core/secret.ts';
import { all, type Check, CheckError, expect, expectKind, type Trial } from './trial.ts';

const history = async (trial: Trial, name: string): Promise<readonly VersionInfo[]> => {
  const { provider } = trial;
  if (provider.history === undefined) throw new CheckError('no history');
  return all(provider.history(name, trial.call()));
};

const holder = (versions: readonly VersionInfo[], stage: string): string | undefined =>
  versions.find(({ stages }) => stages.includes(stage))?.id;

const versions: Check = {
  name: 'versions',
  needs: ['versions'],
  run: async (trial) => {
    const name = trial.fresh();
    const texts = [trial.text(), trial.text(), trial.text()];
    const ids: string[] = [];
    for (const text of texts) ids.push((await trial.put(name, text)).id);
    const found = await history(trial, name);
    expect(
      found.map(({ id }) => id).join() === ids.toReversed().join(),
      'history does not give all, newest first',
    );
    expect(holder(found, 'current') === ids[2], 'the newest version is not current');
    for (const [index, version] of ids.entries())
      expect((await trial.textOf({ name, version })) === texts[index], 'a version has the value of another');
    await expectKind(
      trial.read({ name, version: 'no-such-version' }),
      ['NotFound'],
      'get of an unknown version',
    );
    await trial.provider.makeCurrent?.(name, ids[1] as string, trial.call());
    expect((await trial.textOf({ name })) === texts[1], 'makeCurrent does not make the version current');
  },
};

const stages: Check = {
  name: 'stages',
  needs: ['stages'],
  run: async (trial) => {
    const name = trial.fresh();
    const [first, next] = [trial.text(), trial.text()];
    await trial.put(name, first);
    await expectKind(
      trial.read({ name, stage: 'pending' }),
      ['NotFound'],
      'get of a pending version without one',
    );
    const pending = await trial.put(name, next, { stage: 'pending' });
    expect(pending.stages.includes('pending'), 'put with stage pending does not answer stages: [pending]');
    expect((await trial.textOf({ name })) === first, 'a pending version is current');
    expect(
      (await trial.textOf({ name, stage: 'pending' })) === next,
      'get does not give the pending version',
    );
    const listed = await all(trial.provider.list({ prefix: name }, trial.call()));
    expect(listed.length === 1, 'list shows a pending version');
    await trial.provider.makeCurrent?.(name, pending.id, trial.call());
    expect((await trial.textOf({ name })) === next, 'makeCurrent does not promote the pending version');
    await expectKind(
      trial.read({ name, stage: 'pending' }),
      ['NotFound'],
      'get of a pending version after that',
    );
    const discarded = await trial.put(name, trial.text(), { stage: 'pending' });
    await trial.provider.purge?.(name, discarded.id, trial.call());
    await expectKind(trial.read({ name, stage: 'pending' }), ['NotFound'], 'get of a discarded version');
    expect((await trial.textOf({ name })) === next, 'purge of a pending version changes the current one');
  },
};

const cas: Check = {
  name: 'cas',
  needs: ['cas'],
  run: async (trial) => {
    const name = trial.fresh();
    const first = await trial.put(name, trial.text(), { ifAbsent: true });
    const again = trial.put(name, trial.text(), { ifAbsent: true });
    await expectKind(again, ['Conflict'], 'put with ifAbsent of what is there');
    const last = trial.text();
    await trial.put(name, last, { ifVersion: first.id });
    const stale = trial.put(name, trial.text(), { ifVersion: first.id });
    await expectKind(stale, ['Conflict'], 'put with ifVersion of an old version');
    expect((await trial.textOf({ name })) === last, 'a refused put was made');
    const contested = trial.fresh();
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, () => trial.put(contested, trial.text(), { ifAbsent: true })),
    );
    const won = tries.filter(({ status }) => status === 'fulfilled').length;
    expect(won === 1, `of ten puts with ifAbsent at the same time ${won} succeed`);
  },
};

/** The claims that keep two rotations apart. */
const claims: Check = {
  name: 'claims',
  needs: ['stages', 'cas'],
  run: async (trial) => {
    const name = trial.fresh();
    const first = trial.text();
    const old = await trial.put(name, first);
    const claim = (text: string, more: object): Promise<VersionInfo> =>
      trial.put(name, text, { stage: 'pending', ...more });
    await expectKind(
      claim(trial.text(), { ifPending: old.id }),
      ['Conflict'],
      'put with ifPending where nothing is pending',
    );
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, () => claim(trial.text(), { ifAbsent: true })),
    );
    const won = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(won.length === 1, `of ten claims (ifAbsent, pending) at the same time ${won.length} succeed`);
    const [held] = won as [VersionInfo];
    const next = trial.text();
    const taken = await claim(next, { ifPending: held.id });
    expect(taken.id !== held.id, 'a pending version keeps its id when it is replaced');
    const late = claim(trial.text(), { ifPending: held.id });
    await expectKind(late, ['Conflict'], 'put with ifPending of a version that was replaced');
    expect((await trial.textOf({ name, stage: 'pending' })) === next, 'a refused put was made');
    const stale = claim(trial.text(), { ifVersion: 'no-such-version' });
    await expectKind(stale, ['Conflict'], 'put of a pending version with ifVersion of another current one');
    expect((await trial.textOf({ name })) === first, 'a claim changes the current version');
    const labelled = trial.provider.capabilities.has('labels');
    if (labelled) await trial.put(name, trial.text(), { labels: { 'rotate-every': '30d' } });
    await trial.provider.makeCurrent?.(name, taken.id, trial.call());
    expect((await trial.textOf({ name })) === next, 'makeCurrent does not promote the claim');
    const { labels: kept = {} } = await trial.provider.describe(name, trial.call());
    expect(!labelled || kept['rotate-every'] === '30d', 'labels are lost when a pending version is promoted');
  },
};

const softDelete: Check = {
  name: 'soft-delete',
  needs: ['soft-delete'],
  run: async (trial) => {
    const name = trial.fresh();
    const text = trial.text();
    const { provider } = trial;
    await trial.put(name, text);
    await provider.delete(name, {}, trial.call());
    await expectKind(provider.delete(name, {}, trial.call()), ['NotFound'], 'a second delete');
    const { deletedAt } = await provider.describe(name, trial.call());
    expect(deletedAt !== undefined, 'describe does not say when it was deleted');
    const deleted = await all(provider.list({ prefix: name, deleted: true }, trial.call()));
    expect(deleted.length === 1, 'list with deleted does not show it');
    await provider.restore?.(name, trial.call());
    expect((await trial.textOf({ name })) === text, 'restore does not bring it back');
    await provider.purge?.(name, undefined, trial.call());
    await expectKind(provider.describe(name, trial.call()), ['NotFound'], 'describe after purge');
  },
};

const labels: Check = {
  name: 'labels',
  needs: ['labels'],
  run: async (trial) => {
    const name = trial.fresh();
    await trial.put(name, trial.text(), { labels: { team: 'pay', tier: 'gold' } });
    await trial.put(name, trial.text(), { labels: { tier: null, zone: 'eu' } });
    const info = await trial.provider.describe(name, trial.call());
    const found = Object.entries(info.labels ?? {})
      .map(([label, value]) => `${label}=${value}`)
      .toSorted()
      .join();
    expect(found === 'team=pay,zone=eu', 'labels are not set, kept and removed as asked');
  },
};

export const capabilityChecks: readonly Check[] = [versions, stages, cas, claims, softDelete, labels];

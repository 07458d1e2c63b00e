/** The checks of `secrets doctor` for a local store, which read every file. */
import { readPrivateFile } from '../../platform/files.ts';
import { join } from 'node:path';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { Finding } from '../provider.ts';
import { parseHeader } from './entry-file.ts';
import type { StoreFolder } from './folder.ts';
import type { JournalFolder } from './journal.ts';
import { notedKeys } from './unused-keys.ts';

/** @param checkTime throws after the deadline */
export async function diagnose(folder: StoreFolder, checkTime: () => void): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const tryCheck = async (check: string, work: () => Promise<string> | string): Promise<boolean> => {
    try {
      findings.push({ check, status: 'ok', detail: await work() });
      return true;
    } catch (thrown) {
      const { message, hint } = toSecretsError(thrown);
      findings.push({ check, status: 'fail', detail: message, hint });
      return false;
    }
  };
  const found = await tryCheck('folder', () =>
    folder.manifest() === undefined ? `${folder.path} (made by the first put)` : folder.path,
  );
  if (!found) return findings;
  let journal: JournalFolder | undefined;
  const unlocked = await tryCheck('key', async () => {
    journal = await folder.existing();
    return journal === undefined
      ? 'not made yet'
      : `opens with ${folder.manifest()?.key.method ?? 'its key'}`;
  });
  if (!unlocked || journal === undefined) return findings;
  const opened = journal;
  const wanted = folder.settings.key?.method;
  const method = folder.manifest()?.key.method;
  if (wanted !== undefined && wanted !== method) {
    findings.push({
      check: 'key method',
      status: 'warn',
      detail: `the settings say ${wanted}, and the store’s key is kept by ${method ?? 'none'}`,
      hint: `secrets stores rekey --method ${wanted} changes it`,
    });
  }
  const read: EntriesRead = { secrets: 0, damaged: [], old: 0 };
  await tryCheck('entries', async () => {
    await readEntries(folder, opened, read, checkTime);
    if (read.damaged.length > 0)
      throw new SecretsError('Integrity', `damaged: ${read.damaged.join(', ')}`, {
        hint: 'restore their files from a backup or from version control',
      });
    return `${read.secrets} secrets, every version read`;
  });
  return [...findings, ...renewalFindings(folder, read.old)];
}

interface EntriesRead {
  secrets: number;
  readonly damaged: string[];
  /** Under older keys. */
  old: number;
}

/** @param read counts what was read until the deadline, if that passes */
async function readEntries(
  folder: StoreFolder,
  journal: JournalFolder,
  read: EntriesRead,
  checkTime: () => void,
): Promise<void> {
  for (const sid of journal.secretIds()) {
    checkTime();
    const { events, damage } = await folder.steady(journal, (steady) => steady.load(sid));
    if (events.length > 0) read.secrets += 1;
    if (damage.length > 0) read.damaged.push(events[0]?.name ?? `(hidden name) ${sid}`);
    read.old += entriesUnderOldKeys(journal, sid);
  }
}

function renewalFindings(folder: StoreFolder, old: number): readonly Finding[] {
  const check = 'key renewal';
  const status = 'warn';
  if (old > 0)
    return [
      {
        check,
        status,
        detail: `${old} entries are sealed under an older key`,
        hint: 'secrets stores rekey encrypts them again',
      },
    ];
  if (isCutOff(folder))
    return [
      {
        check,
        status,
        detail: 'a renewal of the key was cut off',
        hint: 'secrets stores rekey finishes it',
      },
    ];
  return [];
}

/** Whether an interrupted renewal has left something that the next one removes. */
function isCutOff(folder: StoreFolder): boolean {
  const manifest = folder.manifest();
  if (manifest === undefined) return false;
  return folder.revisions().length > 1 || notedKeys(folder, manifest.store).length > 0;
}

function entriesUnderOldKeys(journal: JournalFolder, sid: string): number {
  const { currentId, dataKeys } = journal.keys;
  return journal.files(sid).filter(({ file }) => {
    const bytes = readPrivateFile(join(journal.folder(sid), file), 'an entry of the store', false);
    const keyId = bytes === undefined ? undefined : parseHeader(bytes)?.keyId;
    return keyId !== undefined && keyId !== currentId && dataKeys.has(keyId);
  }).length;
}

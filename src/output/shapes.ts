/** The JSON of `--json`, as the schemas in schemas/output describe it. Unknown fields are left out. */
import type { SecretsError } from '../core/errors.ts';
import { utf8 } from '../core/utf8.ts';
import type { SecretInfo, VersionInfo } from '../core/secret.ts';

/** Bytes as text if they are UTF-8, otherwise as base64; `encoding` says which. */
export function valueJson(value: Uint8Array): { value: string; encoding: 'utf-8' | 'base64' } {
  const text = utf8(value);
  return text === undefined
    ? { value: Buffer.from(value).toString('base64'), encoding: 'base64' }
    : { value: text, encoding: 'utf-8' };
}

/** A failure within an object that already says what it is about. */
export function failureJson({ kind, message, hint, exitCode }: SecretsError): object {
  return compact({ kind, message, hint, exitCode });
}

export function versionJson(version: VersionInfo & { readonly staleSince?: Date | undefined }): object {
  return compact({
    version: version.id,
    state: version.state,
    stages: version.stages,
    createdAt: version.createdAt?.toISOString(),
    createdBy: version.createdBy,
    expiresAt: version.expiresAt?.toISOString(),
    note: version.note,
    staleSince: version.staleSince?.toISOString(),
  });
}

export function secretJson(store: string, info: SecretInfo): object {
  return compact({
    store,
    name: info.name,
    nativeId: info.nativeId,
    description: info.description,
    labels: info.labels,
    currentVersion: info.currentVersion,
    createdAt: info.createdAt?.toISOString(),
    updatedAt: info.updatedAt?.toISOString(),
    expiresAt: info.expiresAt?.toISOString(),
    deletedAt: info.deletedAt?.toISOString(),
    purgeAt: info.purgeAt?.toISOString(),
  });
}

export function compact(object: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

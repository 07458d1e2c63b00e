/** Paths of requests: decoded once, checked, and divided into mount and rest. */
import type { AgentStore } from '../stores.ts';

export interface RequestPath {
  /** Decoded, without `/v1/`. */
  readonly path: string;
  readonly query: URLSearchParams;
}

const LONGEST_PATH = 2048;

/**
 * The path of a request; a text that says what is wrong; or undefined outside of `/v1/`. Nothing is cleaned up: a name
 * that the check of rights sees must be the one that the store gets.
 */
export function readPath(url: string): RequestPath | string | undefined {
  if (!url.startsWith('/')) return 'the request must be for a path';
  const [encoded = '', ...rest] = url.split('?');
  if (encoded.length > LONGEST_PATH) return 'the path is too long';
  if (!encoded.startsWith('/v1/')) return undefined;
  let path: string;
  try {
    path = decodeURIComponent(encoded.slice('/v1/'.length));
  } catch {
    return 'the path is not percent-encoded UTF-8';
  }
  if (/[\u0000-\u001f\u007f-\u009f\ufffd]/.test(path)) return 'the path has control characters';
  const segments = path.split('/');
  if (segments.slice(0, -1).includes('') || segments.some((part) => part === '.' || part === '..'))
    return 'the path has empty, . or .. segments';
  return { path, query: new URLSearchParams(rest.join('?')) };
}

export interface Mount {
  readonly store: string;
  /** With a slash at the end. */
  readonly path: string;
  readonly version: 1 | 2;
}

/** Vault's own mounts, and ours that are not a store's. */
const RESERVED = new Set(['sys', 'auth', 'identity', 'cubbyhole', 'kv1']);

/** Every mount: `STORE/` and `kv1/STORE/` for each store, and `secret/` for the default one. */
export function mountsOf(stores: readonly AgentStore[]): readonly Mount[] {
  const mounts = stores.flatMap(({ name }): readonly Mount[] => [
    { store: name, path: `kv1/${name}/`, version: 1 },
    ...(RESERVED.has(name) ? [] : [{ store: name, path: `${name}/`, version: 2 as const }]),
  ]);
  const standard = stores.find(({ isDefault }) => isDefault);
  if (standard !== undefined && !stores.some(({ name }) => name === 'secret'))
    mounts.push({ store: standard.name, path: 'secret/', version: 2 });
  return mounts;
}

/** The mount of a path and the rest below it. */
export function mountAt(
  mounts: readonly Mount[],
  path: string,
): { readonly mount: Mount; readonly rest: string } | undefined {
  const mount = mounts.find((one) => path.startsWith(one.path) || `${path}/` === one.path);
  return mount === undefined ? undefined : { mount, rest: path.slice(mount.path.length) };
}

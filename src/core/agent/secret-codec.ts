/** Versions of secrets and errors as messages of the agent, and back. What comes from a socket is checked. */
import { EXIT_CODES, type ErrorKind, SecretsError } from '../errors.ts';
import { isJsonObject } from '../json.ts';
import type { SecretVersion, VersionState } from '../secret.ts';
import type { AgentResult, AgentSecret } from './messages.ts';

const STATES: ReadonlySet<string> = new Set(['enabled', 'disabled', 'deleted', 'destroyed']);

export function encodeSecret(secret: SecretVersion): AgentSecret {
  const { name, id, state, stages, value, createdAt, createdBy, expiresAt, note, soleKey } = secret;
  return {
    name,
    id,
    state,
    stages,
    value: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
    createdAt: createdAt?.toISOString(),
    createdBy,
    expiresAt: expiresAt?.toISOString(),
    note,
    soleKey,
  };
}

/** One result; undefined if it isn't one. */
export type DecodedResult =
  | { readonly ok: true; readonly secret: SecretVersion; readonly fetchedAt: Date; readonly isStale: boolean }
  | { readonly ok: false; readonly error: SecretsError };

export function decodeResult(result: AgentResult | undefined): DecodedResult | undefined {
  if (!isJsonObject(result)) return undefined;
  const { error, secret, from, fetchedAt } = result as Readonly<Record<string, unknown>>;
  if (isJsonObject(error)) {
    const { kind, message, hint } = error;
    if (typeof kind !== 'string' || !Object.hasOwn(EXIT_CODES, kind) || typeof message !== 'string')
      return undefined;
    const details = typeof hint === 'string' ? { hint } : {};
    return { ok: false, error: new SecretsError(kind as ErrorKind, message, details) };
  }
  const decoded = decodeSecret(secret);
  const time = dateOf(fetchedAt);
  if (decoded === undefined || time === undefined) return undefined;
  return { ok: true, secret: decoded, fetchedAt: time, isStale: from === 'stale' };
}

function decodeSecret(secret: unknown): SecretVersion | undefined {
  if (!isJsonObject(secret)) return undefined;
  const { name, id, state, stages, value, createdAt, createdBy, expiresAt, note, soleKey } = secret;
  if (typeof name !== 'string' || typeof id !== 'string' || typeof value !== 'string') return undefined;
  if (typeof state !== 'string' || !STATES.has(state) || !Array.isArray(stages)) return undefined;
  const [created, expires] = [dateOf(createdAt), dateOf(expiresAt)];
  return {
    name,
    id,
    state: state as VersionState,
    stages: stages.filter((stage): stage is string => typeof stage === 'string'),
    value: Buffer.from(value, 'base64'),
    ...(created !== undefined && { createdAt: created }),
    ...(typeof createdBy === 'string' && { createdBy }),
    ...(expires !== undefined && { expiresAt: expires }),
    ...(typeof note === 'string' && { note }),
    ...(typeof soleKey === 'string' && { soleKey }),
  };
}

function dateOf(text: unknown): Date | undefined {
  if (typeof text !== 'string') return undefined;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

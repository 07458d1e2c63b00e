/** Translates Vault's error responses. */
import { excerpt, SecretsError, toSecretsError } from '../../core/errors.ts';
import { changedMeanwhile } from '../errors.ts';

export type Json = Readonly<Record<string, unknown>>;

/** A map from a response; empty for anything that isn't a map. */
export function asMap(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

/** The messages in Vault's `errors`, on one line. */
export function textOf(body: unknown): string {
  const { errors } = asMap(body);
  if (!Array.isArray(errors)) return '';
  return excerpt(
    errors
      .filter((error) => typeof error === 'string')
      .join('; ')
      .replaceAll(/\s+/g, ' ')
      .replace(/^\d+ errors? occurred: \* /, '')
      .trim(),
  );
}

/** Whether a write was only rejected because the mount or the secret requires `cas`. */
export function wantsCas(thrown: unknown): boolean {
  return thrown instanceof SecretsError && thrown.kind === 'Invalid' && CAS_REQUIRED.test(thrown.message);
}

const CAS_REQUIRED = /check-and-set parameter required/;

/** Translates Vault's response to an error. Source: https://developer.hashicorp.com/vault/api-docs#http-status-codes */
export function translate(thrown: unknown): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const { statusCode, body } = asMap(asMap(thrown)['response']);
  // Not a server's response: the transport's errors are already translated, so this is a bug of ours.
  if (statusCode === undefined) return toSecretsError(thrown);
  const text = textOf(body);
  const fail = (kind: SecretsError['kind'], message: string, hint?: string): SecretsError =>
    new SecretsError(kind, message, { hint, cause: thrown });
  const unexpected = (): SecretsError =>
    fail(
      'Unavailable',
      `Vault answered with status ${String(statusCode)}${text === '' ? '' : `: ${text}`}`,
      'try again',
    );
  switch (statusCode) {
    case 400:
      if (/check-and-set/.test(text) && !CAS_REQUIRED.test(text)) return changedMeanwhile(thrown);
      if (/missing client token/.test(text)) return fail('Unauthenticated', 'no Vault token was sent');
      if (/upgrading from non-versioned/i.test(text))
        return fail('Unavailable', 'the KV engine is being upgraded to version 2', 'try again in a moment');
      return fail('Invalid', text || 'the server refused the request');
    case 403:
      if (/invalid token|bad token|token expired/.test(text))
        return fail('Unauthenticated', 'the Vault token is invalid or expired', 'sign in again: vault login');
      return fail('Denied', text || 'permission denied');
    case 404:
      return fail('NotFound', text || 'not found');
    case 405:
      return fail(
        'Unsupported',
        text || 'the engine at this mount does not do that',
        'is the mount a KV engine?',
      );
    case 412:
      return fail('Unavailable', 'this Vault node lags behind the active one', 'try again');
    case 413:
      return fail('Invalid', 'the value is larger than the server allows');
    case 429:
      return fail('Throttled', 'Vault’s rate limit is reached', 'try again later');
    case 472:
    case 473:
      return fail('Unavailable', 'this Vault node is a standby', 'use the address of the active node');
    case 500:
      if (/past the max TTL/.test(text)) return fail('Invalid', 'the token has reached its longest life');
      return unexpected();
    case 501:
      return fail('Unavailable', 'Vault is not initialised', 'an operator must initialise it');
    case 503:
      if (/sealed/i.test(text)) return fail('Unavailable', 'Vault is sealed', 'an operator must unseal it');
      if (/no active|not active/i.test(text))
        return fail(
          'Unavailable',
          'Vault has no active node',
          'try again; an operator may have to unseal one',
        );
      return fail('Unavailable', 'Vault is under maintenance or overloaded', 'try again');
    default:
      return unexpected();
  }
}

/**
 * A refused sign-in. Vault answers 400, 403 or 404 to a wrong credential, role or mount, with a text that depends on
 * the method.
 */
export function signInError(thrown: unknown, what: string): SecretsError {
  const error = translate(thrown);
  if (error.kind !== 'Invalid' && error.kind !== 'Denied' && error.kind !== 'NotFound') return error;
  return new SecretsError('Unauthenticated', `${what} was refused: ${error.message}`, {
    hint: 'check the credential, the role and the auth mount',
    cause: thrown,
  });
}

/** What AWS and its SDK throw, as the product's errors. */
import { excerpt, IN_DOUBT, SecretsError, toSecretsError } from '../../core/errors.ts';
import { noValueYet } from '../reading.ts';

/** A file that a credential should come from can't be read. */
const UNREADABLE = /^(ENOENT|EACCES|EISDIR|ENOTDIR|ELOOP)$/;
const UNAUTHENTICATED =
  /^(UnrecognizedClientException|InvalidClientTokenId|InvalidSignatureException|SignatureDoesNotMatch|ExpiredToken(Exception)?|InvalidIdentityToken(Exception)?|IDPRejectedClaim(Exception)?|IncompleteSignature|MissingAuthenticationToken(Exception)?)$/;
/** Name of the error of an answer that is longer than any of AWS. */
export const TOO_LONG = 'AnswerTooLong';
/** Message of the error for a name that is taken. */
export const EXISTS = 'exists already';
/** Message of the error for a secret that has not the version, or label, that was asked for. */
const NO_VERSION = 'has no such version';

/** Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and each call's page. */
export function translate(thrown: unknown, source: string): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const { name, message, code, $metadata } = thrown as {
    name?: string;
    message?: string;
    code?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const text = onOneLine(message ?? '');
  const status = $metadata?.httpStatusCode ?? 0;
  const fail = (kind: SecretsError['kind'], line: string, hint?: string): SecretsError =>
    new SecretsError(kind, line, { hint, cause: thrown });
  if (name === 'ResourceNotFoundException')
    return /staging label|VersionId/i.test(text)
      ? fail('NotFound', NO_VERSION, 'secrets history shows them')
      : fail('NotFound', 'is not there', 'secrets list shows the names');
  if (name === 'ResourceExistsException') return fail('Conflict', EXISTS);
  if (name === 'AccessDeniedException' || name === 'AccessDenied' || name === 'DecryptionFailure')
    return fail(
      'Denied',
      `not allowed (${source}): ${text}`,
      'its IAM policy must allow this: secrets doctor',
    );
  if (name !== undefined && UNAUTHENTICATED.test(name))
    return fail(
      'Unauthenticated',
      `AWS does not accept the credential (${source})`,
      'sign in again, or set AWS_PROFILE',
    );
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError' || UNREADABLE.test(code ?? ''))
    return fail(
      'Unauthenticated',
      `no AWS credential (${source}): ${text}`,
      /sso/i.test(text) ? 'aws sso login' : 'sign in, or set AWS_PROFILE: secrets doctor',
    );
  if (name === 'LimitExceededException') return fail('Invalid', `a quota of AWS is reached: ${text}`);
  if (/throttl|TooManyRequests/i.test(name ?? '') || status === 429)
    return fail('Throttled', 'AWS asks to slow down', 'try again later');
  if (name === 'InvalidRequestException' && /delet/i.test(text))
    return fail('NotFound', 'is deleted', 'secrets restore brings it back');
  if (
    /^(Validation|InvalidParameter|InvalidRequest|InvalidNextToken|EncryptionFailure|MalformedPolicy)/.test(
      name ?? '',
    )
  )
    return fail('Invalid', text || 'AWS refuses the request');
  if (/region is missing/i.test(text))
    return fail('Usage', 'no AWS region', 'set AWS_REGION or the store’s region');
  if (name === TOO_LONG || (name === 'SyntaxError' && status < 400)) return notUnderstood(thrown);
  const why = code ?? (status > 0 ? `status ${status}` : (name ?? 'no answer'));
  return fail(
    'Unavailable',
    `AWS can’t be reached or failed (${why})`,
    'check the network and the endpoint: secrets doctor',
  );
}

/** AWS's own words, without a value that a validation error may repeat. */
function onOneLine(message: string): string {
  return excerpt(message.replaceAll(/\bvalue '.*' at\b/gis, 'value at').replaceAll(/\s+/g, ' '));
}

export function notUnderstood(cause?: unknown): SecretsError {
  return new SecretsError('Unavailable', 'the answer is not one of AWS Secrets Manager', {
    hint: 'check the endpoint and any proxy on the way: secrets doctor',
    cause,
  });
}

/** For answers that the SDK lets through whatever they hold. @throws SecretsError Unavailable */
export function understood(condition: boolean): asserts condition {
  if (!condition) throw notUnderstood();
}

/**
 * The failure of a read, whose reason for the current version is that there is no value: AWS has a current version of
 * every secret that has one.
 */
export function orNoValueYet(thrown: unknown, current: boolean): never {
  const { kind, message } = toSecretsError(thrown);
  throw current && kind === 'NotFound' && message === NO_VERSION ? noValueYet(thrown) : thrown;
}

/**
 * The token of the page after this one; undefined after the last, which some servers mark with an empty token.
 * @throws SecretsError Unavailable for a token that leads to the same page again
 */
export function nextPage(given: string | undefined, last: string | undefined): string | undefined {
  if (given === undefined || given === '') return undefined;
  if (given === last)
    throw new SecretsError('Unavailable', 'AWS gives the same page again and again', {
      hint: 'check the endpoint and any proxy on the way: secrets doctor',
    });
  return given;
}

/** A failed write: when AWS may have done it all the same, its message says so. */
export function inDoubt(error: SecretsError): SecretsError {
  const code = (error.cause as { code?: unknown } | undefined)?.code;
  const neverSent = code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN';
  if (error.kind !== 'Unavailable' || neverSent || error.message.endsWith(IN_DOUBT)) return error;
  return new SecretsError(error.kind, error.message + IN_DOUBT, { hint: error.hint, cause: error.cause });
}

export function deletedInTheWay(cause?: unknown): SecretsError {
  return new SecretsError('Conflict', 'a deleted secret of this name is in the way', {
    hint: 'secrets restore brings it back, secrets purge removes it for good',
    cause,
  });
}

export function changedMeanwhile(cause?: unknown): SecretsError {
  return new SecretsError('Conflict', 'somebody else changed it', { hint: 'read it again and retry', cause });
}

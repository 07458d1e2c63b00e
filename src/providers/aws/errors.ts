/** Translates the errors of AWS and its SDK. */
import { excerpt, IN_DOUBT, SecretsError, toSecretsError } from '../../core/errors.ts';
import { alreadyExists, noValueYet, softDeleted } from '../errors.ts';

/** A credential file that can't be read. */
const UNREADABLE = /^(ENOENT|EACCES|EISDIR|ENOTDIR|ELOOP)$/;
const UNAUTHENTICATED =
  /^(UnrecognizedClientException|InvalidClientTokenId|InvalidSignatureException|SignatureDoesNotMatch|ExpiredToken(Exception)?|InvalidIdentityToken(Exception)?|IDPRejectedClaim(Exception)?|IncompleteSignature|MissingAuthenticationToken(Exception)?)$/;
/** The name of the error for a response that is longer than any of AWS's. */
export const TOO_LONG = 'AnswerTooLong';
/** The name of AWS's error for a name that is taken. */
const TAKEN = 'ResourceExistsException';
/** The message of the error for a secret without the requested version or label. */
const NO_VERSION = 'has no such version';

/** Sources: https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and each call's page. */
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
      : fail('NotFound', 'not found', 'secrets list shows the names');
  if (name === TAKEN) return alreadyExists(thrown);
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
  if (name === 'InvalidRequestException' && /delet/i.test(text)) return softDeleted(thrown);
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

/** AWS's own message, without a value that a validation error may repeat. */
function onOneLine(message: string): string {
  return excerpt(message.replaceAll(/\bvalue '.*' at\b/gis, 'value at').replaceAll(/\s+/g, ' '));
}

export function notUnderstood(cause?: unknown): SecretsError {
  return new SecretsError('Unavailable', 'the response is not from AWS Secrets Manager', {
    hint: 'check the endpoint and any proxy in between: secrets doctor',
    cause,
  });
}

/** For responses that the SDK passes on without validation. @throws SecretsError Unavailable */
export function understood(condition: boolean): asserts condition {
  if (!condition) throw notUnderstood();
}

/**
 * Rethrows the failure of a read. A missing current version means that the secret has no value yet, because AWS has a
 * current version for every secret with a value.
 */
export function orNoValueYet(thrown: unknown, current: boolean): never {
  const { kind, message } = toSecretsError(thrown);
  throw current && kind === 'NotFound' && message === NO_VERSION ? noValueYet(thrown) : thrown;
}

/**
 * The token of the next page; undefined after the last page, which some servers mark with an empty token.
 * @throws SecretsError Unavailable for a token that leads to the same page again
 */
export function nextPage(given: string | undefined, last: string | undefined): string | undefined {
  if (given === undefined || given === '') return undefined;
  if (given === last)
    throw new SecretsError('Unavailable', 'AWS returns the same page repeatedly', {
      hint: 'check the endpoint and any proxy in between: secrets doctor',
    });
  return given;
}

/** Whether nothing was created because the name is taken. */
export function isTaken(error: SecretsError): boolean {
  return (error.cause as { name?: unknown } | undefined)?.name === TAKEN;
}

/** Adds to the message of a failed write that it may have been made, if AWS may have done it anyway. */
export function inDoubt(error: SecretsError): SecretsError {
  const code = (error.cause as { code?: unknown } | undefined)?.code;
  const neverSent = code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN';
  if (error.kind !== 'Unavailable' || neverSent || error.message.endsWith(IN_DOUBT)) return error;
  return new SecretsError(error.kind, error.message + IN_DOUBT, { hint: error.hint, cause: error.cause });
}

/** A secret as its own service knows it, and what every kind of reference to one checks. */
import { SecretsError } from '../errors.ts';

/** Where a secret is, for a service that reads it by itself. Never its value. */
export interface NativeSecret {
  /** The reference as the user wrote it, for messages. */
  readonly text: string;
  readonly store: string;
  /** Kind of provider, such as `aws`. */
  readonly provider: string;
  readonly title: string;
  /** The name at the service, with the store's prefix. */
  readonly name: string;
  /** The service's own identifier (ARN, URL, resource name), where the tool needs one. */
  readonly id?: string | undefined;
  readonly key?: string | undefined;
  readonly version?: string | undefined;
  readonly stage?: string | undefined;
  readonly place: Place;
}

/** The settings of the store that its service is found by. */
export interface Place {
  readonly region?: string | undefined;
  readonly address?: string | undefined;
  readonly mount?: string | undefined;
  readonly kvVersion?: 1 | 2 | undefined;
  readonly namespace?: string | undefined;
}

/** What the reference is called where it is used. */
export interface Names {
  /** Environment variable: DB_PASSWORD. */
  readonly variable: string;
  /** Kubernetes object: payments-db. */
  readonly object: string;
}

export type Writer = (secret: NativeSecret, names: Names) => string;

/** A refusal that says what to do instead. */
export function refuse(secret: NativeSecret, message: string, hint: string): SecretsError {
  return new SecretsError('Unsupported', message, { reference: secret.text, hint });
}

/** @throws SecretsError Unsupported for a key, since the tool hands out whole secrets */
export function wholeOnly(secret: NativeSecret, tool: string): void {
  if (secret.key === undefined) return;
  throw refuse(
    secret,
    `${tool} reads whole secrets, not a key of one`,
    'omit #key and take it in the program, store the key as a secret of its own, or use secrets exec',
  );
}

/**
 * A key that the tool takes by name, without anything that its own syntax would read otherwise.
 * @throws SecretsError Unsupported for a JSON Pointer, or a key with other characters than `allowed`
 */
export function plainKey(secret: NativeSecret, tool: string, allowed: RegExp): string | undefined {
  const { key } = secret;
  if (key === undefined || allowed.test(key)) return key;
  const what = key.startsWith('/') ? 'a JSON Pointer' : 'a key with these characters';
  throw refuse(
    secret,
    `${tool} can’t name ${what}`,
    'use a top-level key of letters, digits, - and _, or omit #key',
  );
}

/** Letters, digits, `_` and `-`: the same in every path syntax (gjson, JMESPath, templates). */
export const SIMPLE_KEY = /^[A-Za-z0-9_][\w-]*$/;

/**
 * The version to pin; undefined for the one that the service gives by itself.
 * @throws SecretsError Unsupported for a stage that the service doesn't have
 */
export function pinnedVersion(secret: NativeSecret): string | undefined {
  const { stage, version } = secret;
  if (stage === undefined || stage === 'current') return version;
  throw refuse(
    secret,
    `${secret.title} has no stage ${stage} that another service could follow`,
    'name a version: secrets history lists them',
  );
}

/**
 * The ids of all services are of these characters; others could end the reference and begin another one.
 * @throws SecretsError Unsupported
 */
export function checkVersion(secret: NativeSecret): void {
  if (secret.version === undefined || /^[\w-]{1,64}$/.test(secret.version)) return;
  throw refuse(secret, 'this is not the id of a version', 'secrets history lists them');
}

/** @throws SecretsError Unsupported if the reference names anything but the current version */
export function currentOnly(secret: NativeSecret, tool: string): void {
  const { stage, version } = secret;
  if (version === undefined && (stage === undefined || stage === 'current')) return;
  throw refuse(
    secret,
    `${tool} reads only the current version`,
    'omit ?version= and ?stage=, or use secrets exec',
  );
}

/**
 * AWS's staging label; undefined for the current version, which every client of AWS reads by default.
 * @throws SecretsError Unsupported for a pending version, which nobody is to use before it is promoted
 */
export function awsStage(secret: NativeSecret): string | undefined {
  const { stage } = secret;
  if (stage === undefined || stage === 'current' || stage === 'AWSCURRENT') return undefined;
  if (stage === 'previous') return 'AWSPREVIOUS';
  if (stage === 'pending' || stage === 'AWSPENDING')
    throw refuse(
      secret,
      'a pending version may not work yet, so no service should read it',
      'omit ?stage=: the service follows the rotation by itself',
    );
  if (/^[\w.@/+=-]+$/.test(stage)) return stage;
  throw refuse(secret, 'this stage has characters that can’t be written here', 'use another label');
}

/** A text in YAML, JSON and JavaScript: in double quotes, which all of them read in the same way. */
export function quote(text: string): string {
  // YAML 1.1 takes these for line breaks, and refuses others.
  return JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

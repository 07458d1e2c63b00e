/** Reads and writes an access key in a secret. */
import { JsonDocument } from '../../../core/document/document.ts';
import { SecretsError } from '../../../core/errors.ts';
import { credentialOf } from '../../place.ts';
import type { Credential } from '../../target.ts';

export interface AccessKey {
  readonly id: string;
  readonly secret: string;
}

/** The names of id and secret in environment variables, the CLI's files, IAM's responses and other tools. */
const NAMES: readonly (readonly [string, string])[] = [
  ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
  ['aws_access_key_id', 'aws_secret_access_key'],
  ['AccessKeyId', 'SecretAccessKey'],
  ['accessKeyId', 'secretAccessKey'],
  ['access_key_id', 'secret_access_key'],
  ['access-key-id', 'secret-access-key'],
  ['access_key', 'secret_key'],
];

/** @throws SecretsError Invalid if there is none */
export function keyOf(credential: Credential): AccessKey {
  const { fields } = credential;
  const names = namesIn(fields);
  const [id, secret] = names === undefined ? [] : names.map((name) => fields?.[name]);
  if (typeof id !== 'string' || typeof secret !== 'string')
    throw new SecretsError('Invalid', 'the secret has no access key', {
      hint: 'it needs the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    });
  return { id, secret };
}

/** Only the id, if there is one. */
export function keyIdOf(credential: Credential | undefined): string | undefined {
  const names = namesIn(credential?.fields);
  const id = names === undefined ? undefined : credential?.fields?.[names[0]];
  return typeof id === 'string' ? id : undefined;
}

/** Whether id and secret are both present. */
export function hasKey({ fields }: Credential): boolean {
  return namesIn(fields)?.every((name) => typeof fields?.[name] === 'string') === true;
}

/** The current secret with another key under the same names; every other byte stays. */
export function withKey(current: Credential | undefined, { id, secret }: AccessKey): Credential {
  const [idName, secretName] = namesIn(current?.fields) ?? NAMES[0] ?? ['', ''];
  const document = current?.fields === undefined ? JsonDocument.of([]) : JsonDocument.parse(current.value);
  return credentialOf(
    document.edit(
      new Map([
        [idName, id],
        [secretName, secret],
      ]),
    ).bytes,
  );
}

function namesIn(fields: Credential['fields']): readonly [string, string] | undefined {
  return NAMES.find(
    ([id, secret]) => fields !== undefined && Object.hasOwn(fields, id) && Object.hasOwn(fields, secret),
  );
}

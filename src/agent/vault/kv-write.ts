/** Writing through the door: off, unless the agent was started with `--write`. */
import { JsonDocument } from '../../core/document/document.ts';
import { toSecretsError } from '../../core/errors.ts';
import type { VersionInfo } from '../../core/secret.ts';
import type { SecretWrite } from '../../providers/provider.ts';
import { decode } from '../../providers/vault/kv.ts';
import { type Answer, envelope, failed, NO_CONTENT, wrongKvPath } from './answers.ts';
import { goTime } from './go-json.ts';
import { denied, type DoorRequest } from './request.ts';
import { hasNumber, numberOf } from './values.ts';

/** KV version 2: `{"data": {…}, "options": {"cas": N}}`. */
export async function writeData(request: DoorRequest, store: string, name: string): Promise<Answer> {
  const { body } = request;
  if (!mayWrite(request, store, name)) return denied(request, 'write', store, name);
  if (name === '' || name.endsWith('/')) return wrongKvPath(false);
  const data = body?.member('data');
  if (body === undefined || data === undefined) return failed(400, 'no data provided');
  if (data.kind !== 'object')
    return failed(400, `error converting input for field "data": '' expected a map, got '${data.kind}'`);
  const condition = await conditionOf(request, store, name);
  if (condition === 'wrong') return failed(400, 'error parsing check-and-set parameter');
  if (condition === 'conflict') return MISMATCH;
  try {
    const write: SecretWrite = { ...decode(JsonDocument.parse(body.sourceOf(data))), ...condition };
    const made = await request.stores.put(request.client, store, name, write, request.call);
    const version = await asStored(request, store, name, made);
    const metadata = {
      created_time: goTime(version.createdAt ?? request.now()),
      custom_metadata: null,
      deletion_time: '',
      destroyed: false,
      version: numberOf(version),
    };
    return envelope(metadata, { mount: 'kv' });
  } catch (thrown) {
    const { kind } = toSecretsError(thrown);
    if (kind === 'Conflict' && Object.keys(condition).length > 0) return MISMATCH;
    throw thrown;
  }
}

/**
 * Where numbers come from times, the time is the store's: the clock here may be in another second, and the number would
 * be that of no version. The write is done, so a store that doesn't tell changes nothing.
 */
async function asStored(
  { stores, client, call }: DoorRequest,
  store: string,
  name: string,
  made: VersionInfo,
): Promise<VersionInfo> {
  if (hasNumber(made)) return made;
  const versions = await stores.versions(client, store, name, call).catch(() => []);
  return versions.find(({ id }) => id === made.id) ?? made;
}

const MISMATCH = failed(400, 'check-and-set parameter did not match the current version');

/** KV version 1: the body is the map. */
export async function writeMap(request: DoorRequest, store: string, name: string): Promise<Answer> {
  const { body } = request;
  if (!mayWrite(request, store, name)) return denied(request, 'write', store, name);
  if (body === undefined || body.keys.length === 0) return failed(400, 'missing data fields');
  await request.stores.put(request.client, store, name, decode(body), request.call);
  return NO_CONTENT;
}

function mayWrite({ token, stores }: DoorRequest, store: string, name: string): boolean {
  return token.rights.mayWrite(store, name) && stores.mayWrite(store, name);
}

type Condition = Pick<SecretWrite, 'ifVersion' | 'ifAbsent'>;

/** `cas`: 0 for a name that is free, otherwise the number of the current version, of which the store wants its id. */
async function conditionOf(
  { body, stores, client, call }: DoorRequest,
  store: string,
  name: string,
): Promise<Condition | 'wrong' | 'conflict'> {
  const options = body?.member('options');
  if (body === undefined || options?.kind !== 'object') return {};
  const cas = JsonDocument.parse(body.sourceOf(options)).member('cas');
  if (cas === undefined) return {};
  const text = cas.kind === 'string' ? cas.text : JsonDocument.parse(body.sourceOf(options)).sourceOf(cas);
  if (!/^\d{1,15}$/.test(text)) return 'wrong';
  if (Number(text) === 0) return { ifAbsent: true };
  const versions = await stores.versions(client, store, name, call).catch((thrown: unknown) => {
    if (toSecretsError(thrown).kind === 'NotFound') return [];
    throw thrown;
  });
  const current = versions.find((one) => numberOf(one) === Number(text));
  return current === undefined ? 'conflict' : { ifVersion: current.id };
}

import { descriptorOf } from '../config/kinds.ts';
import { checkPlaceInTemplate } from '../core/native-reference/aws.ts';
import { checkVersion, type NativeSecret, type Place } from '../core/native-reference/secret.ts';
import { namesFor, type Tool, toolFor } from '../core/native-reference/tools.ts';
import { keyText } from '../core/document/secret.ts';
import { SecretsError } from '../core/errors.ts';
import { compact } from '../output/shapes.ts';
import type { Provider } from '../providers/provider.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Target } from '../session/resolver.ts';
import type { Session } from '../session/session.ts';
import type { Invocation } from './command.ts';
import { naming } from './with-secret.ts';

interface ReferenceOptions extends CommonOptions {
  readonly for?: string;
  readonly name?: string;
  readonly into?: string;
  readonly check?: boolean;
}

/** One thing that `--check` has found to be there, and how. */
interface Checked {
  readonly what: 'secret' | 'version' | 'key';
  readonly how: string;
}

export async function run(session: Session, { args, options }: Invocation<ReferenceOptions>): Promise<void> {
  const [text] = args as [string];
  const { for: toolName, into } = options;
  if (toolName === undefined)
    throw new SecretsError('Usage', '--for is missing', { hint: 'name the service: --for cloudformation' });
  if (into !== undefined && toolName !== 'cloudformation' && toolName !== 'cdk')
    throw new SecretsError('Usage', '--into names a property of a CloudFormation template', {
      hint: 'use it with --for cloudformation or cdk',
    });
  checkGivenName(options.name);
  const target = await session.target(text);
  try {
    const { provider: kind } = await session.storeConfig(target.store);
    const title = descriptorOf(session.world, kind)?.title ?? kind;
    const tool = toolFor(toolName, { provider: kind, title, text: target.text });
    if (into !== undefined) checkPlaceInTemplate(into, target.text);
    const provider = await session.open(target.store, target.native);
    provider.checkName(target.reference.name);
    const secret = await locate(session, provider, target, { kind, title, tool });
    checkVersion(secret);
    const written = tool.write(secret, namesFor(secret, options.name));
    const checks = options.check === true ? await check(session, provider, target) : undefined;
    await report(session, target, toolName, written, checks);
    if (tool.note !== undefined) session.note(tool.note);
  } catch (thrown) {
    throw naming(thrown, target.text);
  }
}

/** It becomes a variable or an object of Kubernetes, and both have narrow rules. */
function checkGivenName(name: string | undefined): void {
  if (name === undefined || /^[A-Za-z_][\w-]{0,62}$/.test(name)) return;
  throw new SecretsError('Usage', '--name takes letters, digits, - and _, and starts with a letter', {
    hint: 'such as --name DB_PASSWORD or --name payments-db',
  });
}

async function locate(
  session: Session,
  provider: Provider,
  target: Target,
  { kind, title, tool }: { readonly kind: string; readonly title: string; readonly tool: Tool },
): Promise<NativeSecret> {
  const { name, key, version, stage } = target.reference;
  const { settings } = await session.storeConfig(target.store);
  const merged: Readonly<Record<string, unknown>> = { ...settings, ...target.native };
  const text = (setting: string): string | undefined =>
    typeof merged[setting] === 'string' ? merged[setting] : undefined;
  const id = tool.byId?.includes(kind) === true ? await nativeId(session, provider, name) : undefined;
  return {
    text: target.text,
    store: target.store,
    provider: kind,
    title,
    name: `${text('prefix') ?? ''}${name}`,
    id: kind === 'gcp' ? withProject(id, text('project') ?? projectOf(session)) : id,
    key,
    version,
    stage,
    place: placeOf(session, kind, text, merged['kv-version'], provider),
  };
}

/** Without a call where the provider knows it; by the secret's metadata elsewhere. */
async function nativeId(session: Session, provider: Provider, name: string): Promise<string | undefined> {
  if (provider.nativeId !== undefined) return provider.nativeId(name, session.call());
  return (await provider.describe(name, session.call())).nativeId;
}

/** Google answers with the project's number; the readers know it by its id. */
function withProject(id: string | undefined, project: string | undefined): string | undefined {
  return project === undefined ? id : id?.replace(/^projects\/[^/]+/, () => `projects/${project}`);
}

function projectOf({ world: { env } }: Session): string | undefined {
  return env['GOOGLE_CLOUD_PROJECT'] || env['CLOUDSDK_CORE_PROJECT'] || undefined;
}

function placeOf(
  { world: { env } }: Session,
  kind: string,
  text: (setting: string) => string | undefined,
  kvVersion: unknown,
  provider: Provider,
): Place {
  if (kind === 'aws') return { region: text('region') ?? (env['AWS_REGION'] || env['AWS_DEFAULT_REGION']) };
  if (kind !== 'vault') return {};
  return {
    address: text('address') ?? env['VAULT_ADDR'],
    mount: text('mount')?.replaceAll(/^\/+|\/+$/g, ''),
    namespace: text('namespace') ?? (env['VAULT_NAMESPACE'] || undefined),
    // KV v1 keeps no versions, which the provider has found out.
    kvVersion: kvVersion === 1 || !provider.capabilities.has('versions') ? 1 : 2,
  };
}

/**
 * That the secret is there by its metadata, the version by the history, and a key by the value: no service lists the
 * keys of a secret without its value. Nothing of the value leaves this function.
 * @throws SecretsError NotFound for what isn't there
 */
async function check(session: Session, provider: Provider, target: Target): Promise<readonly Checked[]> {
  const { name, key, version, stage } = target.reference;
  const { deletedAt, currentVersion, isDisabled } = await provider.describe(name, session.call());
  if (deletedAt !== undefined)
    throw new SecretsError('NotFound', 'is deleted', { hint: 'secrets restore undoes that' });
  const isCurrent = version === undefined && (stage === undefined || stage === 'current');
  if (isCurrent && currentVersion === undefined && provider.capabilities.has('versions'))
    throw new SecretsError('NotFound', 'has no current version with a value', {
      hint: 'store a value with secrets put, or name a version: secrets history lists them',
    });
  if (isCurrent && isDisabled === true)
    throw new SecretsError('NotFound', `the current version, ${currentVersion}, is disabled`, {
      hint: 'enable it, store another value, or name a version: secrets history lists them',
    });
  const checks: Checked[] = [{ what: 'secret', how: 'by its metadata' }];
  if (key !== undefined) {
    const [answer] = await provider.get([{ name, version, stage, keys: [key] }], session.call());
    if (answer?.ok !== true) throw answer?.error ?? new SecretsError('NotFound', 'no such secret');
    keyText(answer.secret, key);
    checks.push({ what: 'key', how: 'by reading the value, which isn’t shown' });
  } else if (!isCurrent) {
    await findVersion(session, provider, target);
    checks.push({ what: 'version', how: 'by the list of versions' });
  }
  return checks;
}

async function findVersion(session: Session, provider: Provider, target: Target): Promise<void> {
  const { name, version, stage } = target.reference;
  for await (const found of provider.history?.(name, session.call()) ?? []) {
    const wanted = version === undefined ? found.stages.includes(stage ?? '') : found.id === version;
    if (!wanted) continue;
    if (found.state === 'enabled') return;
    throw new SecretsError('NotFound', `version ${found.id} is ${found.state}`);
  }
  throw new SecretsError('NotFound', `no version ${version ?? `with the stage ${stage ?? ''}`}`, {
    hint: 'secrets history lists the versions',
  });
}

async function report(
  session: Session,
  target: Target,
  tool: string,
  written: string,
  checks: readonly Checked[] | undefined,
): Promise<void> {
  if (session.options.json === true) {
    await session.printJson(compact({ reference: target.text, for: tool, text: written.trimEnd(), checks }));
    return;
  }
  await session.print(written);
  for (const { what, how } of checks ?? []) session.note(`the ${what} exists (${how})`);
}

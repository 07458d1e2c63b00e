import type { Purpose } from '../../core/access/plan.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Target } from '../../session/resolver.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';
import { storeTitle } from '../with-secret.ts';
import { controlOf } from './control.ts';

interface PolicyOptions extends CommonOptions {
  readonly for?: Purpose;
}

export async function run(session: Session, { args, options }: Invocation<PolicyOptions>): Promise<void> {
  const { for: purpose } = options;
  if (purpose === undefined)
    throw new SecretsError('Usage', '--for is missing', { hint: 'use exec, agent, rotate or audit' });
  const { store, native, names } = await wanted(session, purpose, args);
  try {
    for (const name of names) session.asks(store, native, { name });
    if (names.length === 0) session.asks(store, native, { name: '' });
    const title = await storeTitle(session, store);
    const control = await controlOf(await session.open(store, native), title);
    if (control.policyFor === undefined)
      throw new SecretsError('Unsupported', `policies for a job aren’t available for ${title} stores yet`, {
        hint: 'use secrets access grant',
      });
    const policy = await control.policyFor(purpose, names, session.call());
    if (options.json === true) await session.printJson({ store, for: purpose, ...policy });
    else await session.print(policy.text);
  } catch (thrown) {
    throw toSecretsError(thrown).forReference(`${store}://`);
  }
}

interface Wanted {
  readonly store: string;
  readonly native: Target['native'];
  readonly names: readonly string[];
}

/** @throws SecretsError Usage for none, or for those of several stores */
async function wanted(session: Session, purpose: Purpose, args: readonly string[]): Promise<Wanted> {
  const whole = /^([a-z][a-z0-9_-]*):\/\/$/;
  if (purpose === 'audit') {
    const [store = `${await session.defaultStore()}://`, more] = args;
    const name = whole.exec(store)?.[1];
    if (name === undefined || more !== undefined)
      throw new SecretsError('Usage', 'a report is about whole stores', { hint: 'name one: STORE://' });
    return { store: name, native: undefined, names: [] };
  }
  const references = args.length > 0 ? args : await ofProject(session, purpose);
  const targets = await Promise.all(references.map((reference) => session.target(reference)));
  const [first] = targets;
  if (first === undefined)
    throw new SecretsError('Usage', 'no secret is named, here or in secrets.yaml', {
      hint: 'name some: STORE://NAME',
    });
  const stores = [...new Set(targets.map(({ store }) => store))];
  if (
    stores.length > 1 ||
    targets.some(({ native }) => JSON.stringify(native) !== JSON.stringify(first.native))
  )
    throw new SecretsError('Usage', `these secrets are in several stores: ${stores.join(', ')}`, {
      hint: 'a policy is for one store: name its secrets',
    });
  const names = [...new Set(targets.map(({ reference }) => reference.name))].toSorted();
  return { store: first.store, native: first.native, names };
}

/** What secrets.yaml needs for this. */
async function ofProject(session: Session, purpose: Purpose): Promise<readonly string[]> {
  const { env, policies } = await session.config();
  if (purpose === 'rotate') return [...policies.values()].map(({ reference }) => reference);
  return [...env.values()].flatMap((entry) => (entry.kind === 'ref' ? [entry.ref] : []));
}

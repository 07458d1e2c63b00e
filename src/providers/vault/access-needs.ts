/** The smallest policy in Vault with which `secrets` does something: what each command calls. */
import type { NativePolicy, Purpose } from '../../core/access/plan.ts';
import { SecretsError } from '../../core/errors.ts';
import { PENDING_SUFFIX } from './pending.ts';

type Needs = readonly (readonly [path: string, capabilities: readonly string[]])[];

export function policyFor(
  purpose: Purpose,
  names: readonly string[],
  { mount, version }: { readonly mount: string; readonly version: 1 | 2 },
): NativePolicy {
  const needs =
    purpose === 'audit'
      ? toReport(mount, version)
      : names.flatMap((name) => (version === 1 ? ofKv1(purpose, mount, name) : ofKv2(purpose, mount, name)));
  const lines = needs.map(([path, capabilities]) => {
    const list = capabilities.map((capability) => JSON.stringify(capability)).join(', ');
    return `path ${JSON.stringify(path)} { capabilities = [${list}] }`;
  });
  return { format: 'vault-hcl', text: `${lines.join('\n')}\n` };
}

function ofKv1(purpose: Purpose, mount: string, name: string): Needs {
  if (purpose !== 'rotate') return [[`${mount}/${name}`, ['read']]];
  throw new SecretsError('Unsupported', 'KV version 1 keeps no pending version, which a rotation needs');
}

function ofKv2(purpose: Purpose, mount: string, name: string): Needs {
  const value = `${mount}/data/${name}`;
  if (purpose !== 'rotate') return [[value, ['read']]];
  // A new value is pending in a sibling until it is promoted.
  return [
    [value, ['read', 'update']],
    [`${mount}/metadata/${name}`, ['read']],
    [value + PENDING_SUFFIX, ['create', 'read', 'update']],
    [`${mount}/metadata/${name}${PENDING_SUFFIX}`, ['read', 'update', 'delete']],
  ];
}

/** `audit report` of the store. */
function toReport(mount: string, version: 1 | 2): Needs {
  return [
    version === 1 ? [`${mount}/*`, ['list', 'read']] : [`${mount}/metadata/*`, ['list', 'read']],
    ['sys/policies/acl', ['list']],
    ['sys/policies/acl/*', ['read']],
  ];
}

/** Suggests a first secrets.yaml, based on what is found on this machine and in this folder. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkVariableName } from '../core/environment/environment.ts';
import { steers } from '../core/environment/steering.ts';
import { toSecretsError } from '../core/errors.ts';
import { entriesOf } from '../platform/files.ts';
import type { Detection, ProviderDescriptor } from '../providers/descriptor.ts';
import type { StoreSettings } from '../core/trust.ts';
import type { ProgramWorld } from './kinds.ts';
import { readNamed } from './find.ts';
import { settingLooksSecret } from '../core/text/suspect.ts';

/** A suggested store. */
export interface SuggestedStore {
  readonly name: string;
  readonly provider: string;
  readonly settings: StoreSettings;
  readonly evidence: string;
}

export interface SuggestedVariable {
  readonly name: string;
  /** The file that has a variable with this name. */
  readonly from: string;
}

export interface Suggestions {
  readonly stores: readonly SuggestedStore[];
  readonly variables: readonly SuggestedVariable[];
  /** Variables that are most likely not secret, judging by their names. */
  readonly plain: readonly SuggestedVariable[];
  /** Variables that change what programs run; the user has to add them. */
  readonly powerful: readonly SuggestedVariable[];
  readonly warnings: readonly string[];
}

export async function suggest(world: ProgramWorld): Promise<Suggestions> {
  const stores: SuggestedStore[] = [];
  for (const descriptor of world.providers) {
    const found = detect(descriptor, world);
    if (found === undefined) continue;
    const { kind } = descriptor;
    stores.push({
      name: kind,
      provider: kind,
      evidence: found.evidence,
      settings: await fitting(descriptor, found),
    });
  }
  return { stores, ...(await suggestVariables(world.cwd)) };
}

function detect(descriptor: ProviderDescriptor, { env, home }: ProgramWorld): Detection | undefined {
  if (descriptor.detect !== undefined) return descriptor.detect({ env, home, exists: existsSync });
  const variable = descriptor.credentialVariables.find((name) => env[name]);
  return variable === undefined ? undefined : { evidence: `$${variable}`, settings: {} };
}

/** The settings that a secrets.yaml would accept, checked one by one, because the environment may contain anything. */
async function fitting(descriptor: ProviderDescriptor, { settings }: Detection): Promise<StoreSettings> {
  const { safeParse } = await import('valibot');
  const schema = await descriptor.schema();
  const fits = ([name, value]: [string, unknown]): boolean =>
    safeParse(schema, { [name]: value }).success &&
    !(typeof value === 'string' && (settingLooksSecret(value) || !/^[ -~]{1,2048}$/.test(value)));
  return Object.fromEntries(Object.entries(settings).filter(fits));
}

/** Variables that usually contain no secret: how a program runs, not what it signs in with. */
const PLAIN =
  /^(PORT|HOST|HOSTNAME|DEBUG|TZ|LANG|CI|(NODE|APP|RAILS|RACK|FLASK|GO|DEPLOY)_?ENV|.*_(PORT|HOST|LEVEL|MODE|REGION|TIMEOUT|DIR|FORMAT|ENABLED|NAME)|LOG_.*)$/i;
const MAX_FILES = 20;

async function suggestVariables(folder: string): Promise<Omit<Suggestions, 'stores'>> {
  const names = new Map<string, SuggestedVariable>();
  const warnings: string[] = [];
  const files = entriesOf(folder)
    .filter(
      (entry) => /^\.env(\.[\w.-]{1,60})?$/.test(entry) && !/\.(vault|enc|gpg|age|bak|swp)$/.test(entry),
    )
    .toSorted()
    .slice(0, MAX_FILES);
  for (const from of files) {
    try {
      for (const name of await namesOf(join(folder, from)))
        if (!names.has(name)) names.set(name, { name, from });
    } catch (thrown) {
      warnings.push(`${from} is passed over: ${toSecretsError(thrown).message}`);
    }
  }
  const all = [...names.values()];
  const powerful = all.filter(({ name }) => steers(name));
  const plain = all.filter(({ name }) => !steers(name) && PLAIN.test(name));
  const others = new Set([...powerful, ...plain]);
  return { variables: all.filter((one) => !others.has(one)), plain, powerful, warnings };
}

/** The names in a .env file; its values are parsed but not kept. */
async function namesOf(path: string): Promise<string[]> {
  const { parse } = await import('dotenv');
  return Object.keys(parse(readNamed(path).bytes)).filter((name) => {
    try {
      checkVariableName(name);
      return name.length <= 200 && !/^(prototype|constructor)$/.test(name);
    } catch {
      return false;
    }
  });
}

/** The file's text. @param project the folder's name, after which the secrets are named */
export async function fileText(
  { stores, variables, plain, powerful }: Suggestions,
  defaultStore: string,
  project: string,
): Promise<string> {
  const { stringify } = await import('yaml');
  const write = (value: unknown): string => stringify(value, { lineWidth: 0 }).trimEnd();
  const settings = Object.fromEntries(
    stores.map((store) => [store.name, { provider: store.provider, ...store.settings }]),
  );
  const lines = [
    '# Which secrets this project needs, and where they are. No secret stands here: commit it.',
    write({ default: defaultStore }),
  ];
  if (stores.length > 0) lines.push(write({ stores: settings }));
  lines.push('', '# What `secrets exec -- PROGRAM` and `secrets env` provide.');
  if (variables.length === 0)
    lines.push('env:', `#  DATABASE_URL: ${referenceFor(defaultStore, project, 'DATABASE_URL')}`);
  else {
    const entries = variables.map(({ name }) => [name, referenceFor(defaultStore, project, name)]);
    lines.push(write({ env: Object.fromEntries(entries) }));
  }
  for (const { name } of plain) lines.push(`#  ${name}: ''   # no secret? its value can stand here`);
  for (const { name } of powerful) lines.push(`# ${name} changes what programs run: left out`);
  return `${lines.join('\n')}\n`;
}

/** The suggested place for a variable's value: a key of one secret that is named after the project. */
export function referenceFor(store: string, project: string, variable: string): string {
  return `${store}://${project}-env#${variable}`;
}

/** Turns a folder's name into one that every provider accepts. */
export function projectName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 40);
  return name === '' ? 'app' : name;
}

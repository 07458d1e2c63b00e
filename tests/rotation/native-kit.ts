/** What the tests of rotations by a store's own service share: the program, its policies, and what it printed. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { makePlace, type Outcome, type Place, ROOT } from '../e2e/program.ts';

export type Json = Record<string, unknown>;

export interface Row {
  readonly reference: string;
  readonly state: string;
  readonly by: string;
  readonly next?: string;
  readonly native?: Json;
}

export interface Runs {
  readonly place: Place;
  /** Writes secrets.yaml, from which every run here acts as if it were trusted. */
  policies(rotation: object, more?: object): void;
  sh(script: string): Promise<Outcome>;
  /** stdout of a run that has to succeed, silently. */
  ok(script: string): Promise<string>;
  /** The single line of `--json`, whatever the exit code. */
  json(script: string): Promise<Json & { readonly code: number }>;
  status(): Promise<readonly Row[]>;
}

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats.default(ajv);

/** As schemas/output describes it. */
function expectToFit(name: string, value: unknown): void {
  const file = join(ROOT, `schemas/output/${name}.schema.json`);
  const schema = JSON.parse(readFileSync(file, 'utf8')) as object;
  const validate = ajv.getSchema(name) ?? ajv.addSchema(schema, name).getSchema(name);
  void validate?.(value);
  expect({ value, errors: validate?.errors }).toEqual({ value, errors: null });
}

/** Makes a place for each test, with this environment. */
export function usePlace(env: () => Readonly<Record<string, string>>): Runs {
  let place: Place | undefined;
  const here = (): Place => {
    if (place === undefined) throw new Error('not made yet');
    return place;
  };
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(() => here().remove());
  const sh: Runs['sh'] = (script) =>
    here().sh(`secrets() { command secrets "$@" --trust; }; ${script}`, env());
  const ok: Runs['ok'] = async (script) => {
    const { code, stdout, stderr } = await sh(script);
    expect([script, code, stderr]).toEqual([script, 0, '']);
    return stdout;
  };
  return {
    get place() {
      return here();
    },
    policies: (rotation, more = {}) =>
      writeFileSync(join(here().cwd, 'secrets.yaml'), JSON.stringify({ ...more, rotation })),
    sh,
    ok,
    json: async (script) => {
      const { code, stdout, stderr } = await sh(script);
      if (stdout === '') throw new Error(`${script}: ${code} ${stderr}`);
      const answer = JSON.parse(stdout) as Json;
      const [, verb] = /secrets rotate (resume|cancel) /.exec(script) ?? [];
      expectToFit(verb === undefined ? 'rotate' : `rotate-${verb}`, answer);
      return { ...answer, code };
    },
    status: async () => {
      const answer = JSON.parse(await ok('secrets rotate status --json')) as { secrets: readonly Row[] };
      expectToFit('rotate-status', answer);
      return answer.secrets;
    },
  };
}

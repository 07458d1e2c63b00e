/** Every command, one line each, in the order of the help. Importing a spec loads none of the work. */
import { audit } from './audit.spec.ts';
import { completion } from './completion.spec.ts';
import { copy } from './copy.spec.ts';
import { deleteSecret } from './delete.spec.ts';
import { diff } from './diff.spec.ts';
import { doctor } from './doctor.spec.ts';
import { env } from './env.spec.ts';
import { exec } from './exec.spec.ts';
import { generate } from './generate.spec.ts';
import { get } from './get.spec.ts';
import { history } from './history.spec.ts';
import { importSecrets } from './import.spec.ts';
import { init } from './init.spec.ts';
import { list } from './list.spec.ts';
import { purge } from './purge.spec.ts';
import { put } from './put.spec.ts';
import { restore } from './restore.spec.ts';
import { rotate } from './rotate.spec.ts';
import type { CommandSpec } from './spec.ts';
import { stores } from './stores.spec.ts';
import { sync } from './sync.spec.ts';
import { trust } from './trust.spec.ts';

export const commands: readonly CommandSpec[] = [
  get,
  put,
  list,
  history,
  deleteSecret,
  restore,
  purge,
  rotate,
  exec,
  env,
  copy,
  diff,
  sync,
  importSecrets,
  audit,
  stores,
  doctor,
  generate,
  init,
  trust,
  completion,
];

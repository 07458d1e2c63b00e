/** Every command, one line each, in the order of the help. Importing a spec loads none of the work. */
import { access } from './access/access.cli.ts';
import { agent } from './agent/agent.cli.ts';
import { audit } from './audit/audit.cli.ts';
import { completion } from './completion.cli.ts';
import { copy } from './copy.cli.ts';
import { deleteSecret } from './delete.cli.ts';
import { diff } from './diff.cli.ts';
import { doctor } from './doctor/doctor.cli.ts';
import { env } from './env.cli.ts';
import { exec } from './exec/exec.cli.ts';
import { generate } from './generate.cli.ts';
import { get } from './get.cli.ts';
import { history } from './history.cli.ts';
import { importSecrets } from './import.cli.ts';
import { init } from './init.cli.ts';
import { inject } from './inject.cli.ts';
import { list } from './list.cli.ts';
import { policy } from './policy/policy.cli.ts';
import { purge } from './purge.cli.ts';
import { put } from './put.cli.ts';
import { reference } from './reference.cli.ts';
import { restore } from './restore.cli.ts';
import { rotate } from './rotate/rotate.cli.ts';
import type { CommandSpec } from './command.ts';
import { stores } from './stores/stores.cli.ts';
import { sync } from './sync.cli.ts';
import { terraform } from './terraform/terraform.cli.ts';
import { trust } from './trust.cli.ts';

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
  agent,
  reference,
  inject,
  terraform,
  copy,
  diff,
  sync,
  importSecrets,
  audit,
  access,
  policy(() => commands),
  stores,
  doctor,
  generate,
  init,
  trust,
  completion(() => commands),
];

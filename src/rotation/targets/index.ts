/** Every kind of target, one line each. Descriptors load no driver. */
import type { TargetDescriptor } from '../target.ts';
import { awsIam } from './aws-iam/descriptor.ts';
import { http } from './http/descriptor.ts';
import { mysql } from './mysql/descriptor.ts';
import { none } from './none/descriptor.ts';
import { postgres } from './postgres/descriptor.ts';
import { program } from './program/descriptor.ts';
import { vaultStaticRole } from './vault-static-role/descriptor.ts';

export const targets: readonly TargetDescriptor[] = [
  none,
  postgres,
  mysql,
  awsIam,
  vaultStaticRole,
  http,
  program,
];

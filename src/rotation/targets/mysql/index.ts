/** The target `mysql`: the password of a MySQL or MariaDB user. */
import type { Target, TargetContext, TargetSettings } from '../../target.ts';
import type { DatabaseSettings } from '../database/settings.ts';
import { DatabaseTarget } from '../database/target.ts';
import { mysqlDriver } from './driver.ts';

/** @throws SecretsError Usage */
export function open(settings: TargetSettings, context: TargetContext): Target {
  const { 'account-host': accountHost = '%', ...database } = settings as DatabaseSettings & {
    readonly 'account-host'?: string;
  };
  return new DatabaseTarget(mysqlDriver(accountHost), database, context);
}

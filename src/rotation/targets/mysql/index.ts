/** The target `mysql`: the password of a MySQL or MariaDB user. */
import type { Target, TargetContext, TargetSettings } from '../../target.ts';
import { DatabaseTarget } from '../database/target.ts';
import { readPem } from '../../../platform/net/authority.ts';
import { mysqlDriver } from './driver.ts';
import type { MysqlSettings } from './settings.ts';

/** @throws SecretsError Usage */
export function open(settings: TargetSettings, context: TargetContext): Target {
  const { 'account-host': accountHost, 'server-key': serverKey, ...database } = settings as MysqlSettings;
  const driver = mysqlDriver({
    accountHost,
    byAdmin: database.admin !== undefined,
    serverKey: readPem('server-key', serverKey, context.folder, 'PUBLIC KEY'),
  });
  return new DatabaseTarget(driver, database, context);
}

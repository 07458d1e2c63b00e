/** The target `postgres`: the password of a PostgreSQL user. */
import type { Target, TargetContext, TargetSettings } from '../../target.ts';
import { DatabaseTarget } from '../database/target.ts';
import { postgresDriver } from './driver.ts';

/** @throws SecretsError Usage */
export function open(settings: TargetSettings, context: TargetContext): Target {
  return new DatabaseTarget(postgresDriver, settings, context);
}

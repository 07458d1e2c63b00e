import { combineErrors, SecretsError, settleAll } from '../core/errors.ts';
import { pools } from '../core/waiting.ts';
import { tell } from '../output/outcome.ts';
import { compact } from '../output/shapes.ts';
import { shortDate } from '../output/table.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';
import { storeOf, withSecret } from './with-secret.ts';

interface DeleteOptions extends CommonOptions {
  readonly window?: string;
  readonly dryRun?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<DeleteOptions>): Promise<void> {
  const windowDays = options.window === undefined ? undefined : Number(options.window);
  if (windowDays !== undefined && !(Number.isInteger(windowDays) && windowDays > 0)) {
    throw new SecretsError('Usage', '--window takes a number of days');
  }
  const dryRun = options.dryRun === true;
  const stores = await Promise.all(args.map((text) => storeOf(session, text)));
  // One after the other in a store, and in all stores at the same time.
  const limit = pools(1);
  const { results: done, errors } = await settleAll(
    args.map((text, index) =>
      limit(stores[index] as string, () => deleteOne(session, text, windowDays, dryRun)),
    ),
  );
  if (options.json === true) {
    const objects = done.map(({ json }) => ({ ...json, ...(dryRun && { dryRun }) }));
    if (objects.length > 0) await session.printJson(args.length === 1 ? objects[0] : objects);
  } else {
    for (const { text, json } of done) await tell(session, { text, json, dryRun });
  }
  if (errors.length > 0 && done.length > 0) {
    throw new SecretsError('Partial', `${errors.length} of ${args.length} were not deleted`, { errors });
  }
  if (errors.length > 0) throw combineErrors(errors, `none of ${args.length} was deleted`);
}

interface Deleted {
  readonly text: string;
  readonly json: object;
}

function deleteOne(
  session: Session,
  text: string,
  windowDays: number | undefined,
  dryRun: boolean,
): Promise<Deleted> {
  return withSecret(session, text, async ({ provider, name, target, store }) => {
    if (!provider.capabilities.has('soft-delete')) {
      throw new SecretsError('Unsupported', `${store} can’t undo a deletion`, {
        hint: 'secrets purge deletes permanently',
      });
    }
    if (dryRun) {
      const { deletedAt } = await provider.describe(name, session.call());
      if (deletedAt !== undefined) throw new SecretsError('NotFound', 'is already deleted');
      return { text: `${target.text}: would be deleted`, json: { reference: target.text, deleted: false } };
    }
    const { recoverableUntil } = await provider.delete(name, { windowDays }, session.call());
    const until = recoverableUntil === undefined ? '' : ` until ${shortDate(recoverableUntil)}`;
    return {
      text: `${target.text}: deleted; secrets restore undoes that${until}`,
      json: compact({
        reference: target.text,
        deleted: true,
        recoverableUntil: recoverableUntil?.toISOString(),
      }),
    };
  });
}

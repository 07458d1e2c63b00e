import { dirname, join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { parseWish, policyText, ROLES, type RoleWish } from '../../core/policy/roles.ts';
import { tell } from '../../output/outcome.ts';
import { createFile, makePrivateFolder } from '../../platform/files.ts';
import { xdgFolder } from '../../platform/world.ts';
import { POLICY_FILE } from '../../policy/find.ts';
import { parsePolicies } from '../../policy/parse.ts';
import { principalOf } from '../../policy/principal.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';

type InitOptions = CommonOptions &
  Readonly<Partial<Record<(typeof ROLES)[number], readonly string[]>>> & {
    readonly user?: boolean;
    readonly dryRun?: boolean;
  };

export async function run(session: Session, { options }: Invocation<InitOptions>): Promise<void> {
  const path = await placeOf(session, options.user === true);
  const wishes = ROLES.flatMap((role) => (options[role] ?? []).map((text) => parseWish(role, text)));
  const text = policyText(wishes.length > 0 ? wishes : [await everything(session)]);
  const { rules, problems } = parsePolicies(text);
  // What it writes, every other command must take.
  if (problems.length > 0) throw new TypeError(`the policy isn’t valid: ${problems[0]?.message}`);
  if (options.dryRun !== true) {
    if (options.user === true) makePrivateFolder(dirname(path));
    if (!createFile(path, Buffer.from(text), 'the policy'))
      throw new SecretsError('Conflict', `${path} already exists, and is left unchanged`, {
        hint: 'edit it, and look for mistakes with secrets policy check',
      });
  } else if (options.json !== true) return session.print(text);
  await tell(session, {
    text: `${path}: ${rules.length} ${rules.length === 1 ? 'policy' : 'policies'}; what they don’t permit is denied from now on`,
    json: { file: path, written: options.dryRun !== true, policies: rules.map(({ id }) => id) },
    dryRun: options.dryRun === true,
  });
}

/** @throws SecretsError NotFound if there is no secrets.yaml beside which it would be read */
async function placeOf(session: Session, isUser: boolean): Promise<string> {
  if (isUser) return join(xdgFolder(session.world, 'config'), POLICY_FILE);
  const { file } = await session.config();
  if (file !== undefined) return join(dirname(file), POLICY_FILE);
  throw new SecretsError(
    'NotFound',
    'no secrets.yaml in this folder or above it, beside which a policy is read',
    {
      hint: 'create one with secrets init, or write your own policy with --user',
    },
  );
}

async function everything(session: Session): Promise<RoleWish> {
  const { id } = principalOf(session.world);
  const store = await session.defaultStore();
  return { role: 'admin', who: { type: 'User', id }, where: { type: 'Store', id: store } };
}

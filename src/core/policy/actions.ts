/** Which action of a policy each call of a provider is, by the command that makes it. */

export const ACTIONS = [
  'read',
  'inject',
  'list',
  'describe',
  'write',
  'delete',
  'restore',
  'purge',
  'rotate',
  'rekey',
  'grant',
] as const;

export type PolicyAction = (typeof ACTIONS)[number];

/** What a command does with secrets. */
export interface CommandActions {
  /** Every action that it may need; the first one is what it is for. Empty: it touches no secret. */
  readonly needs: readonly PolicyAction[];
  /** What reading a value is; `read` if missing. */
  readonly reads?: PolicyAction;
  /** What every change is, if not what the call's name says. */
  readonly changes?: PolicyAction;
}

const NONE: CommandActions = { needs: [] };
const ROTATES: CommandActions = {
  needs: ['rotate', 'describe', 'list', 'inject'],
  reads: 'inject',
  changes: 'rotate',
};
/** Reads what a file or a program then has, and shows no value. */
const INJECTS: CommandActions = { needs: ['inject', 'describe', 'list'], reads: 'inject' };

/**
 * Every command of the program. tests/policy/commands.test.ts fails for one that is missing; calls under a name that
 * isn't here are decided by what the call does.
 */
export const COMMAND_ACTIONS: Readonly<Record<string, CommandActions>> = {
  get: { needs: ['read', 'describe'] },
  // To change one key, the rest of the value is read, and shown to nobody.
  put: { needs: ['write', 'describe'], reads: 'write' },
  list: { needs: ['list', 'describe'] },
  history: { needs: ['describe'] },
  delete: { needs: ['delete', 'describe', 'list'] },
  restore: { needs: ['restore', 'describe', 'list'] },
  purge: { needs: ['purge', 'describe', 'list'] },
  rotate: ROTATES,
  'rotate status': { ...ROTATES, needs: ['describe', 'list', 'inject'] },
  'rotate resume': ROTATES,
  'rotate rollback': ROTATES,
  'rotate cancel': ROTATES,
  exec: INJECTS,
  // Prints the values.
  env: { needs: ['read', 'list'] },
  'agent start': NONE,
  'agent run': NONE,
  'agent status': NONE,
  'agent clear': NONE,
  'agent stop': NONE,
  reference: { needs: ['describe', 'inject'], reads: 'inject' },
  inject: INJECTS,
  'terraform install': NONE,
  // Its calls are made under the names below.
  'terraform serve': NONE,
  // The value stays in Terraform's state.
  'terraform data': { needs: ['read', 'describe', 'list'] },
  'terraform ephemeral': INJECTS,
  'terraform resource': { needs: ['write', 'describe', 'delete', 'purge', 'restore'], reads: 'write' },
  copy: { needs: ['read', 'write', 'describe', 'list'] },
  diff: { needs: ['read', 'describe', 'list'] },
  sync: { needs: ['read', 'write', 'delete', 'describe', 'list'] },
  import: { needs: ['write', 'describe', 'read'] },
  'access list': { needs: ['describe', 'list'] },
  'access grant': { needs: ['grant', 'describe'] },
  'access revoke': { needs: ['grant', 'describe'] },
  'access check': { needs: ['describe'] },
  'access policy': { needs: ['describe', 'list'] },
  'audit log': NONE,
  'audit trail': { needs: ['describe'] },
  'audit verify': { needs: ['inject', 'describe'], reads: 'inject' },
  'audit anchor': { needs: ['write', 'describe', 'inject'], reads: 'inject' },
  'audit send': { needs: ['inject', 'describe'], reads: 'inject' },
  'audit sinks': NONE,
  'audit report': { needs: ['list', 'describe', 'inject'], reads: 'inject' },
  'policy init': NONE,
  'policy check': NONE,
  'policy test': NONE,
  'policy explain': NONE,
  'policy list': NONE,
  stores: NONE,
  'stores rekey': { needs: ['rekey', 'describe', 'list'] },
  doctor: { needs: ['describe'] },
  generate: NONE,
  init: NONE,
  trust: NONE,
  completion: NONE,
};

/** The entry of a command; that of its noun for a verb which isn't listed. */
export function actionsOf(verb: string): CommandActions | undefined {
  return COMMAND_ACTIONS[verb] ?? COMMAND_ACTIONS[verb.split(' ', 1)[0] ?? ''];
}

/** The kinds of calls that a command may make, what it is for first. */
export function callsOf(verb: string): readonly CallKind[] {
  const { needs } = actionsOf(verb) ?? { needs: [] };
  // Values are injected after they were read.
  return [...new Set(needs.map((action) => (action === 'inject' ? 'read' : action)))];
}

/** What a call does; `read` and the changes depend on the command. */
export type CallKind = PolicyAction;

const CHANGES: ReadonlySet<PolicyAction> = new Set(['write', 'delete', 'purge', 'restore']);

export function isChange(call: CallKind): boolean {
  return CHANGES.has(call);
}

/** The action that a call is when this command makes it. */
export function actionFor(verb: string, call: CallKind): PolicyAction {
  const command = actionsOf(verb);
  if (call === 'read') return command?.reads ?? 'read';
  return command?.changes !== undefined && isChange(call) ? command.changes : call;
}

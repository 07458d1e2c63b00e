/** First policies, by role: what a reader, a writer and so on may do below a prefix. */
import { SecretsError } from '../errors.ts';
import { nearest } from '../reference/nearest.ts';
import { isStoreName } from '../reference/reference.ts';
import type { PolicyAction } from './actions.ts';

export const ROLES = ['reader', 'writer', 'rotator', 'auditor', 'admin'] as const;
export type Role = (typeof ROLES)[number];

interface RoleRule {
  /** Undefined: every action. */
  readonly actions: readonly PolicyAction[] | undefined;
  readonly remark: string;
}

const RULES: Readonly<Record<Role, RoleRule>> = {
  reader: {
    actions: ['read', 'inject', 'describe', 'list'],
    remark: 'Read values, and hand them to programs.',
  },
  writer: {
    actions: ['write', 'delete', 'restore', 'describe', 'list'],
    remark: 'Write and delete, without reading values.',
  },
  rotator: {
    actions: ['rotate', 'inject', 'describe', 'list'],
    remark: 'Rotate, without seeing values.',
  },
  auditor: {
    actions: ['describe', 'list'],
    remark: 'See what there is and who has access, but no value.',
  },
  admin: { actions: undefined, remark: 'Everything.' },
};

/** One `--ROLE WHO=WHERE`. */
export interface RoleWish {
  readonly role: Role;
  readonly who: { readonly type: 'User' | 'Group'; readonly id: string };
  readonly where: { readonly type: 'Secret' | 'Prefix' | 'Store'; readonly id: string };
}

/** @throws SecretsError Usage */
export function parseWish(role: Role, text: string): RoleWish {
  const refuse = (why: string): never => {
    throw new SecretsError('Usage', `--${role} ${JSON.stringify(text.slice(0, 100))}: ${why}`, {
      hint: `write --${role} user:NAME=STORE://PREFIX/ or --${role} group:NAME=STORE://`,
    });
  };
  const [, kind = '', id = '', target = ''] =
    /^(\w+):([^=]+)=(.+)$/s.exec(text) ?? refuse('is not WHO=WHERE');
  const type = ({ user: 'User', group: 'Group' } as const)[kind];
  if (type === undefined) {
    const near = nearest(kind, ['user', 'group']);
    return refuse(`no principal is a ${kind}${near === undefined ? '' : `; did you mean ${near}?`}`);
  }
  const [, store = '', name = ''] = /^([^:]+):\/\/(.*)$/s.exec(target) ?? refuse('the place needs its store');
  if (!isStoreName(store)) return refuse('a store has lower-case letters, digits, - and _');
  if (/[\u0000-\u001f\u007f-\u009f\p{Surrogate}]/u.test(id + name))
    return refuse('it has a control character');
  return {
    role,
    who: { type, id },
    where:
      name === ''
        ? { type: 'Store', id: store }
        : { type: name.endsWith('/') ? 'Prefix' : 'Secret', id: target },
  };
}

/** The policies as the text of a file. */
export function policyText(wishes: readonly RoleWish[]): string {
  const head =
    '// Who may do what with which secrets: docs/access.md. What no policy here permits is denied.\n' +
    '// secrets policy check looks for mistakes; secrets policy explain shows what would be decided.\n';
  const ids = new Map<string, number>();
  const policies = wishes.map((wish) => {
    const { role, who, where } = wish;
    const id = [role, who.id, where.id]
      .join('-')
      .replaceAll(/[^A-Za-z0-9]+/g, '-')
      .replace(/-$/, '');
    const count = (ids.get(id) ?? 0) + 1;
    ids.set(id, count);
    return oneText(count === 1 ? id : `${id}-${count}`, wish);
  });
  return [head, ...policies].join('\n');
}

function oneText(id: string, { role, who, where }: RoleWish): string {
  const { actions, remark } = RULES[role];
  const lines = [
    `// ${remark}`,
    `@id(${quoted(id)})`,
    'permit (',
    `  principal ${who.type === 'User' ? '==' : 'in'} ${who.type}::${quoted(who.id)},`,
    actions === undefined
      ? '  action,'
      : `  action in [${actions.map((action) => `Action::${quoted(action)}`).join(', ')}],`,
    `  resource ${where.type === 'Secret' ? '==' : 'in'} ${where.type}::${quoted(where.id)}`,
    ');',
    '',
  ];
  return lines.join('\n');
}

/** A string of Cedar. What stands in it has no control characters. */
function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

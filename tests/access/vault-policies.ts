/** Policies that decide about one path in many ways, for what is compared with Vault. */

/** One to three policies of one to three rules each, of patterns that compete for the same path. */
export function generated(round: number): readonly string[] {
  let state = round * 7919 + 17;
  const pick = <T>(list: readonly T[]): T => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return list[Math.floor((state / 2147483648) * list.length)] as T;
  };
  const PATHS = [
    'secret/data/app/db',
    'secret/data/app/*',
    'secret/data/+/db',
    'secret/data/app/+',
    'secret/data/*',
    'secret/*',
    '+/data/app/db',
    'secret/+/app/*',
    'secret/data/app/d*',
    'secret/data/+/+',
    'secret/data/app/dbx',
    'secret/data/app',
    'secret/data/{{identity.entity.name}}/*',
    '*',
  ];
  const rights = ['"read"', '"read", "list"', '"deny"', '"list"', '"create", "update"', '"read", "deny"'];
  const rule = (): string => `path "${pick(PATHS)}" { capabilities = [${pick(rights)}] }`;
  const many = (least: number): null[] =>
    Array.from({ length: pick([least, least, least + 1, least + 2]) }, () => null);
  return many(1).map(() => [...new Set(many(1).map(rule))].join('\n'));
}

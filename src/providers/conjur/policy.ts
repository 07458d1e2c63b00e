/**
 * The policy statements that `secrets` loads. Built as a document tree and written by the YAML library with every text
 * in double quotes, so that no name or label can turn into anything else. Only loaded when a policy is changed. Source:
 * https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/policy/policy-syntax.htm
 */
import { Document, type Node, YAMLMap } from 'yaml';

/** A record of a policy: `host`, `group`. Its id is relative to the policy, or starts with a slash. */
export interface RecordId {
  readonly kind: string;
  readonly id: string;
}

type Annotations = Readonly<Record<string, string>> | undefined;

export type Statement =
  | { readonly declare: string; readonly annotations?: Annotations }
  | { readonly remove: string | RecordId }
  | { readonly group: string; readonly owner?: RecordId | undefined; readonly annotations?: Annotations }
  | { readonly permit: RecordId; readonly privileges: readonly string[]; readonly resource: RecordId }
  | { readonly member: RecordId; readonly role: RecordId };

/** Ids are relative to the policy that the statements are loaded into. */
export function writePolicy(statements: readonly Statement[]): string {
  const document = new Document();
  const tagged = <T extends Node>(tag: string, node: T): T => Object.assign(node, { tag });
  const record = ({ kind, id }: RecordId): Node => tagged(`!${kind}`, document.createNode(id) as Node);
  const mapOf = (tag: string, fields: Readonly<Record<string, unknown>>): Node => {
    const map = new YAMLMap();
    for (const [key, value] of Object.entries(fields)) if (value !== undefined) map.set(key, value);
    return tagged(tag, map);
  };
  const notesOf = (annotations: Annotations): YAMLMap | undefined => {
    const entries = Object.entries(annotations ?? {});
    if (entries.length === 0) return undefined;
    const notes = new YAMLMap();
    for (const [key, value] of entries) notes.set(key, value);
    return notes;
  };
  const nodes = statements.map((statement) => {
    if ('remove' in statement) {
      const { remove } = statement;
      const gone = typeof remove === 'string' ? { kind: 'variable', id: remove } : remove;
      return mapOf('!delete', { record: record(gone) });
    }
    if ('permit' in statement) {
      const { permit: role, privileges, resource } = statement;
      return mapOf('!permit', { role: record(role), privileges, resource: record(resource) });
    }
    if ('member' in statement)
      return mapOf('!grant', { role: record(statement.role), member: record(statement.member) });
    const annotations = notesOf(statement.annotations);
    if ('declare' in statement) return mapOf('!variable', { id: statement.declare, annotations });
    const { group: id, owner } = statement;
    return mapOf('!group', { id, owner: owner && record(owner), annotations });
  });
  document.contents = document.createNode(nodes) as never;
  return document.toString({
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'QUOTE_DOUBLE',
    lineWidth: 0,
  });
}

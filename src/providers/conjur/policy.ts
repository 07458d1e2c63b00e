/**
 * The policy statements that `secrets` loads. Built as a document tree and written by the YAML library with every text
 * in double quotes, so that no name or label can turn into anything else. Only loaded when a policy is changed. Source:
 * https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/policy/policy-syntax.htm
 */
import { Document, type Node, YAMLMap } from 'yaml';

export type Statement =
  | { readonly declare: string; readonly annotations?: Readonly<Record<string, string>> | undefined }
  | { readonly remove: string };

/** Ids are relative to the policy that the statements are loaded into. */
export function writePolicy(statements: readonly Statement[]): string {
  const document = new Document();
  const tagged = <T extends Node>(tag: string, node: T): T => Object.assign(node, { tag });
  const nodes = statements.map((statement) => {
    if ('remove' in statement) {
      const map = new YAMLMap();
      map.set('record', tagged('!variable', document.createNode(statement.remove) as Node));
      return tagged('!delete', map);
    }
    const { declare: id, annotations } = statement;
    const map = new YAMLMap();
    map.set('id', id);
    if (annotations !== undefined && Object.keys(annotations).length > 0) {
      const notes = new YAMLMap();
      for (const [key, value] of Object.entries(annotations)) notes.set(key, value);
      map.set('annotations', notes);
    }
    return tagged('!variable', map);
  });
  document.contents = document.createNode(nodes) as never;
  return document.toString({
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'QUOTE_DOUBLE',
    lineWidth: 0,
  });
}

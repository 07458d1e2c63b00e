/**
 * Who may read a secret according to its resource policy. Source:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
 */
import { fitsPattern } from '../../core/text/pattern.ts';
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import type { Grant } from '../../core/secret.ts';

const THROUGH = 'its resource policy';
const READ = 'secretsmanager:getsecretvalue';

/** @throws SecretsError Unavailable for an invalid policy */
export function grantsOf(policy: string): readonly Grant[] {
  let document: unknown;
  try {
    document = JSON.parse(policy);
  } catch {
    document = undefined;
  }
  if (!isJsonObject(document)) throw new SecretsError('Unavailable', 'AWS returned an invalid policy');
  return listOf(document['Statement']).flatMap((statement) =>
    isJsonObject(statement) ? grantsOfStatement(statement) : [],
  );
}

function grantsOfStatement(statement: { readonly [key: string]: JsonValue }): readonly Grant[] {
  if (statement['Effect'] !== 'Allow' || !allowsReading(statement)) return [];
  const conditional = isJsonObject(statement['Condition']) && Object.keys(statement['Condition']).length > 0;
  const grant = (principal: string, breadth: Grant['breadth']): Grant => ({
    principal,
    breadth,
    through: THROUGH,
    ...(conditional && { conditional }),
  });
  // Everyone except the named principals.
  if (statement['NotPrincipal'] !== undefined) return [grant('everybody but a few (NotPrincipal)', 'public')];
  const { Principal: given } = statement;
  if (given === '*') return [grant('*', 'public')];
  if (!isJsonObject(given)) return [];
  return Object.entries(given).flatMap(([kind, names]) =>
    listOf(names).map((name) => {
      const text = String(name);
      if (text === '*') return grant(kind === 'AWS' ? '*' : `${kind}: *`, 'public');
      const account =
        kind === 'AWS' && (/^\d{12}$/.test(text) || /^arn:[a-z-]+:iam::\d{12}:root$/.test(text));
      return grant(text, account ? 'account' : 'named');
    }),
  );
}

/** Whether the statement's actions include reading the value. A wildcard matches any characters. */
function allowsReading(statement: { readonly [key: string]: JsonValue }): boolean {
  // Not a regular expression: some patterns that a stranger can write would take forever.
  const matches = (action: JsonValue): boolean => fitsPattern(String(action).toLowerCase(), READ);
  if (statement['Action'] !== undefined) return listOf(statement['Action']).some(matches);
  return statement['NotAction'] !== undefined && !listOf(statement['NotAction']).some(matches);
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly JsonValue[]) : [value];
}

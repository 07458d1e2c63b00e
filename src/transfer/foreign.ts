/**
 * Recognises documents that are not files of secrets although they contain names and values. Without this check, a
 * ConfigMap's metadata or a ciphertext would be imported as secrets.
 */
import type { FileValue } from './documents.ts';
import { type FileProblems, lineAt } from './problems.ts';

type Entries = ReadonlyMap<string, FileValue>;

/** Other formats, recognised by how the text starts. */
const BEGINNINGS: readonly (readonly [RegExp, string, string])[] = [
  [/^\$ANSIBLE_VAULT;/, 'is encrypted by Ansible Vault', 'decrypt it first, with ansible-vault view'],
  [
    /^(?:age-encryption\.org\/|-----BEGIN AGE ENCRYPTED FILE-----)/,
    'is encrypted by age',
    'decrypt it first, with age --decrypt',
  ],
  [
    /^-----BEGIN PGP /,
    'is a PGP message or key',
    'decrypt it first, or store it whole with secrets put --from-file',
  ],
  [
    /^-----BEGIN [A-Z0-9 ]+-----/,
    'is a key or certificate (PEM)',
    'store it as one secret with secrets put REF --from-file FILE',
  ],
];

/** @throws SecretsError Invalid for text in another format */
export function refuseForeignText(text: string, problems: FileProblems): void {
  const start = text.replace(/^\ufeff?\s*/, '').slice(0, 200);
  for (const [pattern, what, hint] of BEGINNINGS) if (pattern.test(start)) throw problems.whole(what, hint);
}

/** Helm's own template variables and functions; a Go template inside a secret uses other names. */
const HELM =
  /\{\{-?[ \t]*(?:\.(?:Values|Release|Chart|Capabilities|Files|Template)\b|(?:include|define|template|tpl|lookup|toYaml|required|b64enc|randAlphaNum|end|if|else|range|with)\b)/;

/** @throws SecretsError Invalid for a Helm template, with its line */
export function refuseTemplate(text: string, problems: FileProblems): void {
  const found = HELM.exec(text);
  if (found === null) return;
  throw problems.at(
    lineAt(text, found.index),
    'is a Helm template, not its values',
    'render it first: helm template … | secrets import - …',
  );
}

/** Documents written by other tools, recognised by keys that are all present. */
const MARKS: readonly (readonly [readonly string[], string, string])[] = [
  [['_public_key'], 'is encrypted by ejson', 'decrypt it first, with ejson decrypt'],
  [['ARN', 'Name', 'VersionId'], 'is an answer of AWS Secrets Manager', 'import its SecretString alone'],
  [['id', 'value', 'attributes'], 'is an answer of Azure Key Vault', 'import its value alone'],
  [['encrypted', 'items'], 'is an export of Bitwarden', 'import a file of names and values'],
  [['request_id', 'lease_id', 'data'], 'is an answer of Vault', 'import its data alone'],
  [['terraform_version', 'lineage'], 'is a Terraform state', 'use its outputs: terraform output -json NAME'],
  [['AWSTemplateFormatVersion'], 'is a CloudFormation template', 'import a file of names and values'],
  [['openapi', 'paths'], 'is an OpenAPI description', 'import a file of names and values'],
  [['swagger', 'paths'], 'is an OpenAPI description', 'import a file of names and values'],
  [['jobs', 'on'], 'is a GitHub workflow', 'import a file of names and values'],
  [['apiVersion', 'name', 'version'], 'is a Helm chart', 'import a file of names and values'],
  [['name', 'version', 'dependencies'], 'is a package.json', 'import a file of names and values'],
];

/** @throws SecretsError Invalid for a document that isn't a file of secrets */
export function refuseForeign(document: FileValue, problems: FileProblems): void {
  if (document.kind !== 'map') return;
  const { entries, line } = document;
  const kind = kindOf(entries);
  if (kind !== undefined) throw problems.at(line, kindError(kind), kindHint(kind));
  if (isSops(entries))
    throw problems.at(
      line,
      'is encrypted by sops',
      'decrypt it first: sops decrypt FILE | secrets import - …',
    );
  const encrypted = findText(document, /^ENC\[(?:AES256_GCM|PKCS7|GPG),/);
  if (encrypted !== undefined)
    throw problems.at(
      encrypted,
      'has an encrypted value (ENC[…], of sops or hiera-eyaml)',
      'decrypt the file first',
    );
  if (isMapOfMaps(entries.get('stores'), ['provider']))
    throw problems.at(
      line,
      'is a secrets.yaml, which names secrets and holds none',
      'secrets init writes one',
    );
  if (isMapOfMaps(document, ['sensitive']))
    throw problems.at(
      line,
      'is the output of Terraform',
      'take its values: terraform output -json | jq "map_values(.value)"',
    );
  if (isCompose(entries)) throw problems.at(line, 'is a Compose file', 'import the env_file that it names');
  for (const [keys, what, hint] of MARKS)
    if (keys.every((key) => entries.has(key))) throw problems.at(line, what, hint);
}

/** The kind of a Kubernetes object other than a Secret. */
function kindOf(entries: Entries): string | undefined {
  const kind = entries.get('kind');
  const isObject = entries.get('apiVersion')?.kind === 'text' || entries.get('metadata')?.kind === 'map';
  return kind?.kind === 'text' && isObject ? kind.text : undefined;
}

function kindError(kind: string): string {
  const name = /^[A-Za-z][A-Za-z0-9]{0,60}$/.test(kind) ? kind : 'object';
  return `is a Kubernetes ${name}, not a Secret`;
}

function kindHint(kind: string): string {
  return kind === 'SealedSecret'
    ? 'its values are encrypted for the cluster: import the Secret, with kubectl get secret -o yaml'
    : 'import the Secrets alone';
}

/** The section that sops adds to its files. */
function isSops(entries: Entries): boolean {
  const sops = entries.get('sops');
  return sops?.kind === 'map' && ['mac', 'version', 'lastmodified'].some((key) => sops.entries.has(key));
}

function isCompose(entries: Entries): boolean {
  return isMapOfMaps(entries.get('services'), ['image', 'build', 'extends']);
}

/** Whether the value is a map of maps that each contain at least one of these keys. */
function isMapOfMaps(value: FileValue | undefined, keys: readonly string[]): boolean {
  if (value?.kind !== 'map' || value.entries.size === 0) return false;
  return [...value.entries.values()].every(
    (one) => one.kind === 'map' && keys.some((key) => one.entries.has(key)),
  );
}

/** The line of the first text that matches the pattern. The parser limits the nesting depth. */
function findText(value: FileValue, pattern: RegExp): number | undefined {
  if (value.kind === 'text') return pattern.test(value.text) ? value.line : undefined;
  const inner = value.kind === 'map' ? [...value.entries.values()] : value.kind === 'list' ? value.items : [];
  for (const one of inner) {
    const line = findText(one, pattern);
    if (line !== undefined) return line;
  }
  return undefined;
}

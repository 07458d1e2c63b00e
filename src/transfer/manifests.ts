/** The Secrets of Kubernetes manifests (Kubernetes API, core/v1). */
import { checkText, type FileValue } from './documents.ts';
import type { FoundSecret, FoundValue } from './found.ts';
import { refuseForeign } from './foreign.ts';
import type { FileProblems } from './problems.ts';
import { decodeBase64 } from './yaml-file.ts';

type MapValue = FileValue & { readonly kind: 'map' };

/** Whether the document is a Secret or a list of objects. */
export function isManifest(document: FileValue): boolean {
  return document.kind === 'map' && (kindOf(document) === 'Secret' || isList(document));
}

/**
 * The Secrets of a document: the document itself, or the items of a `List`.
 * @throws SecretsError Invalid for any other object, because a file is imported completely or not at all
 */
export function secretsOf(document: FileValue, problems: FileProblems): readonly FoundSecret[] {
  if (document.kind === 'map' && isList(document)) {
    const items = document.entries.get('items');
    return items?.kind === 'list' ? items.items.flatMap((item) => secretsOf(item, problems)) : [];
  }
  if (document.kind === 'map' && kindOf(document) === 'Secret') {
    if (document.entries.get('sops')?.kind === 'map')
      throw problems.at(
        document.line,
        'is encrypted by sops',
        'decrypt it first: sops decrypt FILE | secrets import - …',
      );
    return [fromSecret(document, problems)];
  }
  refuseForeign(document, problems);
  throw problems.at(
    document.line,
    'is not a Kubernetes Secret, though others beside it are',
    'import the Secrets alone',
  );
}

function kindOf({ entries }: MapValue): string | undefined {
  const kind = entries.get('kind');
  return kind?.kind === 'text' ? kind.text : undefined;
}

function isList(document: MapValue): boolean {
  const kind = kindOf(document);
  return (kind === 'List' || kind === 'SecretList') && document.entries.get('items')?.kind === 'list';
}

/** `data` is base64, `stringData` is text and takes precedence. */
function fromSecret(secret: MapValue, problems: FileProblems): FoundSecret {
  const metadata = secret.entries.get('metadata');
  const name = metadata?.kind === 'map' ? metadata.entries.get('name') : undefined;
  if (name?.kind !== 'text') throw problems.at(secret.line, 'is a Kubernetes Secret without a name');
  const keys = new Map<string, FoundValue>();
  for (const [key, value] of entriesOf(secret, 'data', problems)) {
    const bytes = value.kind === 'text' ? decodeBase64(value.text) : undefined;
    if (bytes === undefined)
      throw problems.at(value.line, `data of Secret ${name.text} is not base64: ${key}`);
    keys.set(key, { bytes });
  }
  for (const [key, value] of entriesOf(secret, 'stringData', problems)) {
    if (value.kind !== 'text')
      throw problems.at(value.line, `stringData of Secret ${name.text} is not text: ${key}`);
    keys.set(key, { text: checkText(value.text, value.line, problems) });
  }
  return { name: name.text, keys };
}

function entriesOf(secret: MapValue, field: string, problems: FileProblems): ReadonlyMap<string, FileValue> {
  const value = secret.entries.get(field);
  if (value === undefined || value.kind === 'null') return new Map();
  if (value.kind !== 'map') throw problems.at(value.line, `${field} of a Kubernetes Secret is not a map`);
  return value.entries;
}

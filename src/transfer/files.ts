/** Reads the files that secrets are imported from. Loaded by `import` alone. */
import { SecretsError } from '../core/errors.ts';
import { isJsonObject, type JsonValue, parseJson } from '../core/json.ts';
import { decodeUtf8 } from '../core/utf8.ts';

export type FileFormat = 'dotenv' | 'json' | 'yaml' | 'kubernetes';

/** A secret found in a file: its name below the target, and its keys. */
export interface FoundSecret {
  /** Undefined for the file itself, which has no name. */
  readonly name: string | undefined;
  readonly keys: ReadonlyMap<string, FoundValue>;
}

/** Bytes, or the JSON value that the file had. */
export type FoundValue = { readonly bytes: Uint8Array } | { readonly json: JsonValue };

/** The format that a file's name or text shows. */
export function formatOf(file: string, text: string): Exclude<FileFormat, 'kubernetes'> {
  if (/\.json$/i.test(file)) return 'json';
  if (/\.ya?ml$/i.test(file)) return 'yaml';
  if (/(^|\/)\.env[^/]*$|\.(env|dotenv)$/i.test(file)) return 'dotenv';
  if (/^\s*[{[]/.test(text)) return 'json';
  return /^\s*(#.*\n\s*)*(export\s+)?[\w.-]+\s*=/.test(text) ? 'dotenv' : 'yaml';
}

/**
 * The secrets of a file: one without a name, or for Kubernetes one for each `Secret` in it.
 * @throws SecretsError Invalid, naming the file and never its text
 */
export async function readSecrets(
  bytes: Uint8Array,
  file: string,
  format: FileFormat | undefined,
): Promise<readonly FoundSecret[]> {
  let text: string;
  try {
    text = decodeUtf8(bytes);
  } catch {
    throw invalid(file, 'is not UTF-8 text');
  }
  const wanted = format ?? formatOf(file, text);
  if (wanted === 'dotenv') {
    const { parse } = await import('dotenv');
    const keys = Object.entries(parse(text)).map(([key, value]) => [key, { json: value }] as const);
    if (keys.length === 0) throw invalid(file, 'has no NAME=VALUE line');
    return [{ name: undefined, keys: new Map(keys) }];
  }
  const documents = wanted === 'json' ? [jsonOf(bytes, file)] : await yamlOf(text, file);
  const manifests = documents.flatMap(manifestsIn);
  if (manifests.length > 0 && (format === undefined || format === 'kubernetes' || format === 'yaml'))
    return manifests.map((manifest) => fromManifest(manifest, file));
  if (wanted === 'kubernetes') throw invalid(file, 'holds no Kubernetes Secret');
  const [document, second] = documents;
  if (second !== undefined) throw invalid(file, 'holds several documents');
  if (!isJsonObject(document)) throw invalid(file, 'holds no names with values');
  return [{ name: undefined, keys: new Map(Object.entries(document).map(([key, json]) => [key, { json }])) }];
}

function jsonOf(bytes: Uint8Array, file: string): JsonValue {
  try {
    return parseJson(bytes);
  } catch {
    throw invalid(file, 'is not valid JSON');
  }
}

/** Far more than values in names have, and no more than the parser can take. */
const MAX_DEPTH = 64;
const MAX_TOKENS = 1_000_000;

async function yamlOf(text: string, file: string): Promise<readonly JsonValue[]> {
  const [{ isScalar, parseAllDocuments, visit }, { checkTokens }] = await Promise.all([
    import('yaml'),
    import('../config/yaml-tokens.ts'),
  ]);
  checkTokens(text, {
    maxDepth: MAX_DEPTH,
    maxTokens: MAX_TOKENS,
    refuse: (line, why) => {
      throw invalid(file, `can’t be read: line ${line}: ${why}`);
    },
  });
  // The library's own check of keys compares each with each.
  const documents = parseAllDocuments(text, { uniqueKeys: false, prettyErrors: false });
  return [...documents].map((document) => {
    const [wrong] = document.errors;
    // The parser's own message may quote the text.
    if (wrong !== undefined) throw invalid(file, `is not valid YAML (${wrong.code})`);
    visit(document, {
      Map(_, { items }) {
        const keys = items.map(({ key }) => (isScalar(key) ? key.value : key));
        if (new Set(keys).size < keys.length) throw invalid(file, 'is not valid YAML (DUPLICATE_KEY)');
      },
    });
    try {
      return document.toJS({ maxAliasCount: 50 }) as JsonValue;
    } catch {
      throw invalid(file, 'has too many aliases, or one of an unknown anchor');
    }
  });
}

type JsonObject = { readonly [key: string]: JsonValue };

/** The Secrets of a manifest: itself, or the items of a List (Kubernetes API, core/v1). */
function manifestsIn(document: JsonValue): readonly JsonObject[] {
  if (!isJsonObject(document)) return [];
  if (document['kind'] === 'Secret') return [document];
  const items = document['kind'] === 'List' ? document['items'] : undefined;
  return Array.isArray(items) ? (items as readonly JsonValue[]).flatMap(manifestsIn) : [];
}

/** `data` is base64, `stringData` is text and wins (Kubernetes API, core/v1 Secret). */
function fromManifest(manifest: JsonObject, file: string): FoundSecret {
  const { metadata, data, stringData } = manifest as Readonly<Record<string, JsonValue | undefined>>;
  const name = isJsonObject(metadata) ? metadata['name'] : undefined;
  if (typeof name !== 'string') throw invalid(file, 'holds a Kubernetes Secret without a name');
  const keys = new Map<string, FoundValue>();
  for (const [key, value] of Object.entries(isJsonObject(data) ? data : {})) {
    const text = typeof value === 'string' ? value.replaceAll(/\s/g, '') : '-';
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text))
      throw invalid(file, `holds data of Secret ${name} that is not base64: ${key}`);
    keys.set(key, { bytes: Buffer.from(text, 'base64') });
  }
  for (const [key, value] of Object.entries(isJsonObject(stringData) ? stringData : {})) {
    if (typeof value !== 'string')
      throw invalid(file, `holds stringData of Secret ${name} that is not text: ${key}`);
    keys.set(key, { json: value });
  }
  return { name, keys };
}

function invalid(file: string, why: string): SecretsError {
  return new SecretsError('Invalid', `${file} ${why}`, { hint: 'name its format with --format' });
}

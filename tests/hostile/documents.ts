/** The corpus of hostile secrets.yaml files: what must be refused with one line, or taken for no more than it is. */

export interface HostileDocument {
  readonly title: string;
  readonly bytes: string | Uint8Array;
  /** The message that refuses it; none when it is harmless and must be read. */
  readonly refused?: RegExp;
  /** Harmless to a parser; its variables are set for who trusts the file. */
  readonly trust?: boolean;
}

const KIB = 1024;
const many = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('');

/** Each alias names the one before ten times: a billion values from ten lines. */
const BOMB = `a: &a0 x\n${many(9, (index) => `b${index}: &a${index + 1} [${many(10, () => `*a${index},`)}]\n`)}`;

export const documents: readonly HostileDocument[] = [
  { title: 'flow lists nested 30,000 deep', bytes: '['.repeat(30_000), refused: /:1: nested more than/ },
  { title: 'flow maps nested 20,000 deep', bytes: '{a: '.repeat(20_000), refused: /:1: nested more than/ },
  { title: 'closed nesting', bytes: `${'['.repeat(5000)}${']'.repeat(5000)}`, refused: /nested more than/ },
  { title: 'lists in lists on one line', bytes: '- '.repeat(30_000), refused: /:1: nested more than/ },
  { title: 'explicit keys in each other', bytes: '? '.repeat(30_000), refused: /:1: nested more than/ },
  { title: 'keys after keys on one line', bytes: 'a: '.repeat(30_000), refused: /:1: nested more than/ },
  {
    title: 'block maps nested 300 deep',
    bytes: many(300, (index) => `${' '.repeat(index)}a:\n`),
    refused: /nested more than/,
  },
  { title: 'brackets that close nothing', bytes: '}'.repeat(100 * KIB), refused: /:1: an unmatched bracket/ },
  {
    title: 'a bracket that is not closed',
    bytes: 'env: {A: b',
    refused: /not valid YAML|an unmatched bracket/,
  },
  { title: 'an alias bomb', bytes: BOMB, refused: /:1: anchors, aliases and merge keys/ },
  { title: 'an alias that names what it stands in', bytes: 'env: &a { A: *a }\n', refused: /:1: anchors/ },
  { title: 'an alias of nothing', bytes: 'env: *nope\n', refused: /:1: anchors/ },
  { title: 'a merge key', bytes: 'env:\n  <<: { A: b }\n', refused: /:2: anchors, aliases and merge keys/ },
  {
    title: 'a quoted merge key',
    bytes: 'env:\n  "<<": { A: b }\n',
    refused: /:2: anchors, aliases and merge/,
  },
  { title: 'a duplicate key', bytes: 'env: {}\nstores: {}\nenv: {}\n', refused: /:3: duplicate key/ },
  {
    title: 'a duplicate key, quoted',
    bytes: 'env:\n  A: x\n  "\\x41": y\n',
    refused: /:3: duplicate key/,
  },
  { title: 'a list as a key', bytes: '? [env]\n: x\n', refused: /a key must be a plain word/ },
  {
    title: 'a tag that makes a function',
    bytes: 'env: { A: !!js/function "() => 1" }\n',
    refused: /:1: tags/,
  },
  {
    title: 'a tag that makes an object',
    bytes: 'env: !!python/object/apply:os.system ["id"]\n',
    refused: /:1: tags/,
  },
  { title: 'a binary tag', bytes: 'env: { A: !!binary aGk= }\n', refused: /:1: tags are not used/ },
  { title: 'a tag of its own', bytes: 'env: { A: !env PATH }\n', refused: /:1: tags are not used/ },
  { title: 'a tag directive', bytes: '%TAG ! tag:x,2000:\n---\nenv: {}\n', refused: /:1: directives/ },
  { title: 'an older YAML', bytes: '%YAML 1.1\n---\nenv: {}\n', refused: /:1: directives are not used/ },
  { title: 'two documents', bytes: 'env: {}\n---\nenv: {}\n', refused: /not valid YAML \(MULTIPLE_DOCS\)/ },
  {
    title: '__proto__ at the top',
    bytes: '__proto__: { env: { A: b } }\n',
    refused: /:1: __proto__ can’t be/,
  },
  { title: '__proto__ as a variable', bytes: 'env:\n  __proto__: x\n', refused: /:2: __proto__ can’t be/ },
  {
    title: '__proto__ as a store',
    bytes: 'stores: {"__proto__": {provider: local}}',
    refused: /__proto__ can’t/,
  },
  {
    title: 'constructor as a store',
    bytes: 'stores: {constructor: {provider: local}}',
    refused: /constructor can’t/,
  },
  { title: 'a NUL', bytes: 'env:\n  A: "a\0b"\n', refused: /:2: a control character \(U\+0000\)/ },
  { title: 'a NUL by its escape', bytes: 'env:\n  A: "a\\0b"\n', refused: /:2: A contains a NUL/ },
  {
    title: 'an escape sequence',
    bytes: 'env:\n  A: "\u001b[31m"\n',
    refused: /:2: a control character \(U\+001B\)/,
  },
  {
    title: 'a line turned around',
    bytes: 'env: {}\n# \u202eerofeb gniht\n',
    refused: /:2: a control character \(U\+202E\)/,
  },
  {
    title: 'an escape sequence in a setting, by its escape',
    bytes: 'stores:\n  v: { provider: vault, address: "https://x\\e[2K" }\n',
    refused: /:2: stores\.v\.address contains a control character/,
  },
  {
    title: 'half a surrogate pair',
    bytes: 'env:\n  A: "\\ud800"\n',
    refused: /:2: an unpaired surrogate/,
  },
  {
    title: 'half a surrogate pair as a key',
    bytes: 'env:\n  "\\udfff": x\n',
    refused: /:2: an unpaired surrogate/,
  },
  {
    title: 'bytes that are no UTF-8',
    bytes: Buffer.from('env:\n  A: \xff\xfe\n', 'latin1'),
    refused: /:2: not UTF-8/,
  },
  { title: 'UTF-16', bytes: Buffer.from('\ufeffenv: {}\n', 'utf16le'), refused: /:1: not UTF-8 text/ },
  {
    title: 'an overlong encoding',
    bytes: Buffer.from([0x61, 0x3a, 0x20, 0xc0, 0xaf]),
    refused: /:1: not UTF-8/,
  },
  { title: 'more than the limit', bytes: `# ${'x'.repeat(128 * KIB)}\n`, refused: /is larger than 128 KiB/ },
  { title: '10 MB', bytes: Buffer.alloc(10_000_000, 'a: b\n'), refused: /is larger than 128 KiB/ },
  {
    title: 'a name of 100 kB',
    bytes: `env: {"${'A'.repeat(100_000)}": x, "b c": x}\n`,
    refused: /must be|longer/,
  },
  {
    title: 'an unknown key of 100 kB',
    bytes: `"${'k'.repeat(100_000)}": x\n`,
    refused: /:1: not valid YAML/,
  },
  { title: 'an unknown key of several lines', bytes: '? $\n \n }\n', refused: /^[^\n]*$/ },
  { title: 'an unknown key of 1 kB', bytes: `${'k'.repeat(1000)}: x\n`, refused: /:1: unknown key k{80}…/ },
  {
    title: 'a setting of 100 kB',
    bytes: `stores: {v: {provider: vault, mount: "${'m/'.repeat(50_000)}"}}`,
    refused: /longer/,
  },
  { title: 'very many tokens', bytes: `{${'a,'.repeat(60 * KIB)}}`, refused: /too long to be read safely/ },
  { title: 'very many errors', bytes: '"'.repeat(100 * KIB), refused: /not valid YAML|too long/ },
  { title: 'very many empty lines', bytes: '\n'.repeat(127 * KIB), refused: /too long to be read safely/ },
  { title: 'very many keys', trust: true, bytes: `env:\n${many(5000, (index) => `  K${index}: v\n`)}` },
  { title: 'a BOM', bytes: '\ufeffenv: { LOG_LEVEL: info }\n' },
  { title: 'CRLF', bytes: 'env:\r\n  LOG_LEVEL: info\r\n  LOG_FORMAT: json\r\n' },
  { title: 'nothing', bytes: '' },
  { title: 'comments alone', bytes: '# nothing\n' },
  { title: 'sections without content', bytes: 'stores:\nenv:\nprofiles:\n' },
  { title: 'a list', bytes: '- env\n', refused: /the file must be a map/ },
  { title: 'a list for a map', bytes: 'env: [a]\n', refused: /:1: env must be a map/ },
  { title: 'an empty list for a map', bytes: 'stores: []\n', refused: /:1: stores must be a map/ },
  { title: 'a list for a store', bytes: 'stores: { a: [provider] }\n', refused: /:1: stores.a/ },
  { title: 'a text', bytes: 'env\n', refused: /the file must be a map/ },
  {
    title: 'a plugin',
    bytes: 'stores:\n  p: { provider: exec, command: "touch ran" }\n',
    refused: /:2: (stores\.p\.plugin is missing|unknown key stores\.p\.command)/,
  },
  {
    title: 'a log that is a control character',
    bytes: 'audit: { path: "\\u001b[2J" }\n',
    refused: /:1: audit\.path contains a control character/,
  },
  { title: 'a log in a list', bytes: 'audit: { path: [/dev/full] }\n', refused: /:1: audit\.path must be/ },
  {
    title: 'a sink whose name leads out of its folder',
    bytes: 'audit: { sinks: { "../../x": { type: syslog, address: "unix:/x" } } }\n',
    refused: /:1: .*must be a name of lower-case letters/,
  },
  {
    title: 'a sink in plain text elsewhere',
    bytes: 'audit: { sinks: { s: { type: webhook, url: "http://evil.example/" } } }\n',
    refused: /:1: audit\.sinks\.s\.url must be https/,
  },
  {
    title: 'a sink with control characters',
    bytes: 'audit: { sinks: { s: { type: syslog, address: "unix:/x\\e[2J" } } }\n',
    refused: /:1: audit\.sinks\.s\.address contains a control character/,
  },
  { title: 'a sink', bytes: 'audit: { run: "touch ran" }\n', refused: /:1: unknown key audit\.run/ },
  { title: 'plugins', bytes: 'plugins: ["./evil.js"]\n', refused: /:1: unknown key plugins/ },
  {
    title: 'a hook',
    bytes: 'rotation:\n  local://a: { every: 30d, apply: "touch ran" }\n',
    refused: /:2: unknown key rotation\.local:\/\/a\.apply/,
  },
  {
    title: 'a list for native',
    bytes: 'rotation:\n  aws://a: { native: [function] }\n',
    refused: /:2: rotation\.aws:\/\/a\.native must be a map/,
  },
  {
    title: 'native that is no text inside',
    bytes: 'rotation:\n  aws://a:\n    native: { function: { arn: x } }\n',
    refused: /:3: rotation\.aws:\/\/a\.native\.function must be a text/,
  },
  {
    title: 'native in a store that has none, by a store of its own',
    bytes: 'stores: { x: { provider: local } }\nrotation:\n  x://a: { native: { topic: t } }\n',
    refused: /:3: x:\/\/a is in a store of local, which has no rotation of its own/,
  },
  { title: 'an include', bytes: 'include: /etc/passwd\n', refused: /:1: unknown key include/ },
  {
    title: 'a name that climbs',
    bytes: 'env:\n  A: local://../../etc/passwd\n',
    refused: /:2: A: .*no \. or \.\. segments/,
  },
  {
    title: 'a store that climbs',
    bytes: 'stores: {"../x": {provider: local}}\n',
    refused: /:1: stores\.\.\.\/x must be/,
  },
  { title: 'a variable that is two', bytes: 'env:\n  "A=b\\nLD_PRELOAD": x\n', refused: /:2: env\.A=b/ },
  {
    title: 'a text that only looks like a command',
    trust: true,
    bytes: 'env: { A: "$(touch ran) `touch ran`" }\n',
  },
];

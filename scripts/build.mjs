// Bundles src into dist/: CommonJS, since Node loads it faster than modules; one chunk for each dynamic import,
// so that a cloud's SDK is read from disk only when that cloud is asked for.
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { basename, join } from 'node:path';
import { rolldown } from 'rolldown';
import { makeCodeCache } from './code-cache.mjs';
import { leanGoogle } from './lean-google.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const outDir = join(root, 'dist');
const pkg = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

await rm(outDir, { recursive: true, force: true });
await mkdir(outDir, { recursive: true });
const bundle = await rolldown({
  cwd: root,
  input: { main: 'src/cli/main.ts' },
  platform: 'node',
  // Native modules stay packages of their own: they hold binaries.
  external: Object.keys(pkg.optionalDependencies),
  resolve: { mainFields: ['module', 'main'] },
  transform: {
    define: {
      SECRETS_VERSION: JSON.stringify(pkg.version),
      // From a chunk; see src/policy/engine.ts.
      SECRETS_CEDAR_WASM: JSON.stringify('../cedar.wasm'),
      // See src/output/html/assets.ts.
      SECRETS_PAGE_STYLE: JSON.stringify(await pagePart('page.css')),
      SECRETS_PAGE_SCRIPT: JSON.stringify(await pagePart('page.js')),
    },
  },
  plugins: [apart(), lazyChildProcess(), forLauncher(), leanGoogle],
});
const { output } = await bundle.write({
  dir: outDir,
  format: 'cjs',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
  minify: true,
  // Native packages are required: a script that bin/secrets loads has no import().
  dynamicImportInCjs: false,
  codeSplitting: { groups: [startChunk(), parserChunk(), agentChunk()] },
});
await bundle.close();
await bundlePlainGet();
await copyFile(
  join(root, 'node_modules/@cedar-policy/cedar-wasm/web/cedar_wasm_bg.wasm'),
  join(outDir, 'cedar.wasm'),
);
await writeFile(join(outDir, 'package.json'), '{ "type": "commonjs" }\n');
await makeCodeCache(root);
await writeFile(join(outDir, 'THIRD_PARTY_LICENSES.txt'), await licences(output));

/** What `get` with an agent loads instead of the program, with its own copy of what both need: one small file. */
async function bundlePlainGet() {
  const small = await rolldown({
    cwd: root,
    input: { 'plain-get': 'src/cli/plain-get.ts' },
    platform: 'node',
    transform: { define: { SECRETS_VERSION: JSON.stringify(pkg.version) } },
    plugins: [forLauncher((files) => files.length === 1 || fail('plain-get is more than one file'))],
  });
  await small.write({ dir: outDir, format: 'cjs', entryFileNames: '[name].js', minify: true });
  await small.close();
}

function fail(message) {
  throw new Error(message);
}

/** Leaves that file out of the program, which requires it, without the bundler's helper for modules. */
function apart() {
  const eager = "import('./plain-get.ts')";
  return {
    name: 'apart',
    transform: {
      filter: { id: /src\/cli\/main\.ts$/ },
      handler: (code) =>
        code.includes(eager)
          ? code.replace(eager, "require('./plain-get.js')")
          : fail('main.ts loads plain-get in another way now'),
    },
    resolveId: {
      filter: { id: /^\.\/plain-get\.js$/ },
      handler: (id) => ({ id, external: true }),
    },
  };
}

/** A part of the page that `audit report --format html` writes. */
function pagePart(name) {
  return readFile(join(root, 'src/output/html', name), 'utf8');
}

/**
 * What nearly every command needs, in one chunk: reading twenty small files costs more than reading a larger one.
 * The start of the program is apart, so that `--version` reads nothing else.
 */
function startChunk() {
  const parts = [
    'cli/(cli|process-world|program)\\.ts',
    'session/(chain|delivery|guard|keeping-out|policies|records|resolver|run|session|stores)\\.ts',
    'policy/find\\.ts',
    'audit/log/(files|lock|log|room|second-head|settings|time)\\.ts',
    'audit/recording/(poll-dedup|reason|recorded|recorder)\\.ts',
    'platform/(agent/place|files|pinned|unlock-file|world)\\.ts',
    // Named one by one: whatever else is in there costs every start the reading of it.
    'core/(duration|errors|json|utf8|version)\\.ts',
    'core/(audit/chain|reference/(nearest|reference)|text/sanitize)\\.ts',
    'config/(config|find|judge|load|named-files)\\.ts',
    'output/(confidential|console|report|shapes|style)',
    'commands/(get\\.cli|get)\\.ts',
    'providers/(registry|trust|azure/clouds|gcp/names|[^/]+/descriptor)\\.ts',
    'providers/local/(?!age|create|diagnose|keychain|rekey|settings|wrap)',
  ];
  const wanted = new RegExp(`/src/(${parts.join('|')})|rolldown/runtime`);
  return { name: 'start', test: wanted };
}

/** The parser of the command line, which a `get` with references alone does without. */
function parserChunk() {
  return {
    name: 'parser',
    test: /\/(src\/(cli\/command-line|commands\/common-options)\.ts|node_modules\/commander\/)/,
  };
}

/** A command's way to a running agent, in one file. */
function agentChunk() {
  return {
    name: 'agent-link',
    test: /\/src\/(session\/agent(-identity)?|platform\/agent\/(connect|frames)|core\/agent\/\w[\w-]*)\.ts/,
  };
}

/**
 * What bin/secrets expects: each file one function, and ASCII, which is read at half the cost of anything else.
 * Characters beyond it only stand in strings and patterns.
 */
function forLauncher(settle = inlineRuntime) {
  const escaped = (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return {
    name: 'for-launcher',
    generateBundle(_options, files) {
      settle(Object.values(files));
      for (const file of Object.values(files))
        if (file.type === 'chunk')
          file.code = `(function (exports, require, module, __filename, __dirname) {${file.code.replaceAll(/[^\0-\x7f]/g, escaped)}\n})`;
    },
  };
}

/**
 * The bundler's few helpers are a file of their own, which main.js names and has no use for. What a start reads
 * gets a copy of them: a file less to find, read and check is a hundredth of a start.
 */
function inlineRuntime(files) {
  const runtime = files.find(({ fileName }) => /rolldown-runtime/.test(fileName));
  const take = (file, folder, replacement) => {
    const call = `require("${folder}${basename(runtime.fileName)}")`;
    if (!file.code.includes(call)) throw new Error(`${file.fileName} has its helpers in another way now`);
    file.code = file.code.replace(call, () => replacement);
  };
  for (const own of [/\/start-/, /\/parser-/])
    take(
      // Modules named `start` have files of this name as well, which don't use the helpers.
      files.find(
        ({ fileName, code, facadeModuleId }) =>
          own.test(fileName) && !facadeModuleId && code.includes(basename(runtime.fileName)),
      ),
      './',
      `((exports)=>{${runtime.code}\n;return exports})({})`,
    );
  const main = files.find(({ fileName }) => fileName === 'main.js');
  if (!main.code.startsWith(`require("./chunks/${basename(runtime.fileName)}");`))
    throw new Error('main.js uses helpers of the bundler');
  take(main, './chunks/', '0');
}

/** commander loads child_process for executable subcommands, which this program has none of: a twentieth of its start. */
function lazyChildProcess() {
  const eager = "const childProcess = require('node:child_process');";
  return {
    name: 'lazy-child-process',
    transform: {
      filter: { id: /node_modules\/commander\/lib\/command\.js$/ },
      handler(code) {
        if (!code.includes(eager)) throw new Error('commander loads child_process in another way now');
        return code.replace(
          eager,
          "const childProcess = { get spawn() { return require('node:child_process').spawn; } };",
        );
      },
    },
  };
}

/** What the licences of the bundled packages ask for: their text beside the code. */
async function licences(chunks) {
  const folders = new Set();
  for (const chunk of chunks) {
    for (const id of chunk.type === 'chunk' ? chunk.moduleIds : []) {
      const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(
        id.replaceAll('\\', '/').replace(/^\0/, ''),
      );
      if (match !== null && existsSync(join(match[1], 'package.json'))) folders.add(match[1]);
    }
  }
  const sections = [];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const file = (await readdir(folder)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    const text =
      file === undefined ? '(no licence file in the package)' : await readFile(join(folder, file), 'utf8');
    sections.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  return sections.join(`\n${'-'.repeat(78)}\n\n`);
}

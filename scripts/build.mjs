// Bundles src into dist/: CommonJS, since Node loads it faster than modules; one chunk for each dynamic import,
// so that a cloud's SDK is read from disk only when that cloud is asked for.
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const outDir = join(root, 'dist');
const pkg = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

await rm(outDir, { recursive: true, force: true });
await mkdir(outDir, { recursive: true });
const bundle = await rolldown({
  cwd: root,
  input: { cli: 'src/main.ts' },
  platform: 'node',
  // Native modules stay packages of their own: they hold binaries.
  external: Object.keys(pkg.optionalDependencies),
  resolve: { mainFields: ['module', 'main'] },
  transform: { define: { SECRETS_VERSION: JSON.stringify(pkg.version) } },
});
const { output } = await bundle.write({
  dir: outDir,
  format: 'cjs',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
  minify: true,
});
await bundle.close();
await writeFile(join(outDir, 'package.json'), '{ "type": "commonjs" }\n');
await writeFile(join(outDir, 'THIRD_PARTY_LICENSES.txt'), await licences(output));

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

// Bundles src into dist/: CommonJS, since Node loads it faster than modules; one chunk for each dynamic import,
// so that a cloud's SDK is read from disk only when that cloud is asked for.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { rolldown } from 'rolldown';

const root = new URL('..', import.meta.url);
const pkg = JSON.parse(await readFile(new URL('package.json', root), 'utf8'));
const outDir = new URL('dist/', root);

await rm(outDir, { recursive: true, force: true });
await mkdir(outDir, { recursive: true });
const bundle = await rolldown({
  input: { cli: new URL('src/main.ts', root).pathname },
  platform: 'node',
  // Native modules stay packages of their own: they hold binaries.
  external: Object.keys(pkg.optionalDependencies),
  resolve: { mainFields: ['module', 'main'] },
  transform: { define: { SECRETS_VERSION: JSON.stringify(pkg.version) } },
});
await bundle.write({
  dir: outDir.pathname,
  format: 'cjs',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
  minify: true,
});
await bundle.close();
await writeFile(new URL('package.json', outDir), '{ "type": "commonjs" }\n');

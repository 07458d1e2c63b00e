/** Writes the rotation's machine (src/core/rotation.ts) into docs/rotation.md as a diagram; a test compares them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const { outputFiles } = await build({
  entryPoints: ['src/core/rotation.ts'],
  bundle: true,
  format: 'esm',
  write: false,
});
const { diagram } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
);
const page = 'docs/rotation.md';
const before = readFileSync(page, 'utf8');
writeFileSync(
  page,
  before.replace(/```mermaid\nstateDiagram-v2\n[\s\S]*?```/, '```mermaid\n' + diagram() + '```'),
);

/** Writes the rotation's machine (src/core/rotation/machine.ts) into docs/rotation.md as a diagram; a test compares them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { transform } from '@swc/core';

// The machine imports nothing, so that it can be run on its own.
const { code } = await transform(readFileSync('src/core/rotation/machine.ts', 'utf8'), {
  jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
});
const { diagram } = await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`);
const page = 'docs/rotation.md';
const before = readFileSync(page, 'utf8');
writeFileSync(page, before.replace(/```mermaid\n[\s\S]*?```/, `\`\`\`mermaid\n${diagram()}\`\`\``));

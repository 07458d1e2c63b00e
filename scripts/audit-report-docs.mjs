// Writes the tables of rules and parameters of docs/audit-report.md, after a change of src/core/audit-findings/rules.ts
// or src/config/audit-report.ts. A test compares them.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const bundle = await rolldown({ cwd: root, input: 'tests/audit/report/doc-tables.ts', platform: 'node' });
const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
await bundle.close();
const { tables } = await import(
  `data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`
);
const page = join(root, 'docs/audit-report.md');
let text = await readFile(page, 'utf8');
for (const [name, table] of tables) {
  const place = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(<!-- /${name} -->)`);
  text = text.replace(place, `$1\n${table}\n\n$2`);
}
await writeFile(page, text);

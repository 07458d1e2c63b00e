// Writes the tables of rules and parameters of docs/audit-report.md, after a change of src/core/findings/rules.ts
// or src/config/audit-report.ts. A test compares them.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { importSource, root } from './import-source.mjs';

const source = `export { tables } from ${JSON.stringify(join(root, 'tests/report/doc-tables.ts'))};`;
const { tables } = await importSource(source);
const page = join(root, 'docs/audit-report.md');
let text = await readFile(page, 'utf8');
for (const [name, table] of tables) {
  const place = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(<!-- /${name} -->)`);
  text = text.replace(place, `$1\n${table}\n\n$2`);
}
await writeFile(page, text);

/** The real OpenTofu, as `npm run backends` builds it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WORK_DIR } from './server.ts';

const source = fileURLToPath(new URL('opentofu/go.mod', import.meta.url));

const version = /opentofu\/opentofu (v\S+)/.exec(readFileSync(source, 'utf8'))?.[1] ?? '';
export const TOFU = join(WORK_DIR, `tofu-${version}`);

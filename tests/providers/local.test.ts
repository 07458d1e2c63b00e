import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from '../../src/providers/local/index.ts';
import { contextFor, itKeepsTheContract } from '../contract/suite.ts';

describe('local', () => {
  const home = mkdtempSync(join(tmpdir(), 'secrets-local-'));
  afterAll(() => rmSync(home, { recursive: true }));
  itKeepsTheContract({
    open: () => open({ path: join(home, 'store'), key: { method: 'key-file' } }, contextFor({}, home)),
  });
});

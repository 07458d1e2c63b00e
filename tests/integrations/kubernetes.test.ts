/** docs/kubernetes.md: the first example with a kubectl that keeps what it is given, checked by Kubernetes' schema. */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { describeWith, WORK_DIR } from '../backends/server.ts';
import { makePlace, ROOT } from '../e2e/program.ts';

const KUBERNETES = join(WORK_DIR, 'kubernetes-validate-venv/bin/kubernetes-validate');

describeWith('docs/kubernetes.md', [KUBERNETES], () => {
  test('the first example gives kubectl a Secret with the value, and asks for a server-side apply', async () => {
    const page = readFileSync(join(ROOT, 'docs/kubernetes.md'), 'utf8');
    const [, example = ''] = /```sh\n([^`]*)```/.exec(page) ?? [];
    const place = await makePlace();
    try {
      const kubectl = join(place.root, 'bin/kubectl');
      writeFileSync(kubectl, '#!/bin/sh\necho "$*" >called\ncat >applied.yaml\n');
      chmodSync(kubectl, 0o755);
      const url = 'postgres://app:p%40ss@db/payments';
      const { code, stderr } = await place.sh(
        `set -o pipefail; printf %s '${url}' | secrets put --quiet payments/db#url && ${example}`,
        { SECRETS_LOCAL_KEY_METHOD: 'key-file' },
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(readFileSync(join(place.cwd, 'called'), 'utf8')).toBe('apply --server-side -f -\n');
      const file = join(place.cwd, 'applied.yaml');
      expect(parse(readFileSync(file, 'utf8'))).toMatchObject({
        kind: 'Secret',
        metadata: { name: 'payments' },
        data: { DATABASE_URL: Buffer.from(url).toString('base64') },
      });
      const checked = spawnSync(KUBERNETES, ['--strict', file]);
      expect({ code: checked.status, said: checked.stdout.toString() }).toMatchObject({ code: 0 });
    } finally {
      await place.remove();
    }
  }, 60_000);
});

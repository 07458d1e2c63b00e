/** examples/schedules: each file is checked by the program that reads such files, and its commands are run. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { describeWith, WORK_DIR } from '../backends/server.ts';
import { makePlace, type Place, ROOT } from '../e2e/program.ts';

const folder = join(ROOT, 'examples/schedules');
const text = (path: string): string => readFileSync(join(folder, path), 'utf8');
const page = readFileSync(join(ROOT, 'docs/schedules.md'), 'utf8');

/** A program on PATH, for `describeWith`. */
const installed = (name: string): string =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((entry) => join(entry, name))
    .find((path) => existsSync(path)) ?? `/usr/bin/${name}`;
const actionlintVersion =
  /actionlint (v\S+)/.exec(readFileSync(join(ROOT, 'tests/backends/actionlint/go.mod'), 'utf8'))?.[1] ?? '';
const ACTIONLINT = join(WORK_DIR, `actionlint-${actionlintVersion}`);
const KUBERNETES = join(WORK_DIR, 'kubernetes-validate-venv/bin/kubernetes-validate');
const SYSTEMD = installed('systemd-analyze');
const CRONTAB = installed('crontab');

const check = (command: string, args: readonly string[]): { code: number | null; output: string } => {
  const { status, stdout, stderr } = spawnSync(command, args);
  return { code: status, output: `${stdout.toString()}${stderr.toString()}` };
};

interface Container {
  readonly command: readonly string[];
  readonly securityContext: object;
}
interface Manifest {
  readonly kind: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly jobTemplate?: {
      readonly spec: { readonly template: { readonly spec: { containers: Container[] } } };
    };
  };
}
interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps: readonly { readonly run?: string }[] }>>;
}

const manifests = (): Manifest[] =>
  parseAllDocuments(text('kubernetes/cronjob.yaml')).map((document) => document.toJS() as Manifest);

/** The commands of each example, as a shell would be given them. */
const COMMANDS: Readonly<Record<string, () => readonly string[]>> = {
  'systemd/secrets-rotate.service': () =>
    [...text('systemd/secrets-rotate.service').matchAll(/^ExecStart=(.*)$/gm)].map(([, line = '']) => line),
  'cron/crontab': () =>
    text('cron/crontab')
      .split('\n')
      .filter((line) => /^[\d*]/.test(line))
      .map((line) => line.split(' ').slice(5).join(' ')),
  'github-actions/rotate.yml': () =>
    Object.values((parse(text('github-actions/rotate.yml')) as Workflow).jobs)
      .flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []))
      .filter((line) => !line.startsWith('npm ')),
  'kubernetes/cronjob.yaml': () =>
    manifests().flatMap(
      ({ spec }) =>
        spec?.jobTemplate?.spec.template.spec.containers.map(({ command }) => command.join(' ')) ?? [],
    ),
};

test('every example has its commands run here, and stands in docs/schedules.md', () => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.|crontab/.test(name),
  );
  for (const file of files) expect(page).toContain(`](../examples/schedules/${file})`);
  expect([...Object.keys(COMMANDS), 'systemd/secrets-rotate.timer'].toSorted()).toEqual(files.toSorted());
});

describe.each(Object.keys(COMMANDS))('the commands of %s', (file) => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlace();
    mkdirSync(join(place.home, 'payments'));
  });
  afterEach(() => place.remove());

  test('rotate what is due and nothing else', async () => {
    const lines = (COMMANDS[file] as () => readonly string[])();
    expect(lines.length).toBeGreaterThan(0);
    const config = join(place.home, 'payments/secrets.yaml');
    const policies = { due: { every: '1s', generate: 'hex:8' }, fresh: { every: '30d' } };
    writeFileSync(config, JSON.stringify({ rotation: policies }));
    const sh = (line: string): ReturnType<Place['sh']> =>
      place.sh(`cd payments 2>/dev/null || cd "$HOME/payments"; ${line}`, {
        SECRETS_LOCAL_KEY_METHOD: 'key-file',
      });
    const put = 'for name in due fresh; do printf v | secrets put --quiet $name; done';
    // What is older than its second is due.
    expect((await sh(`${put} && secrets trust --yes && sleep 1.1`)).code).toBe(0);
    for (const line of lines) {
      const here = line
        .replaceAll('/usr/local/bin/secrets', 'secrets')
        .replaceAll('/etc/secrets/secrets.yaml', config);
      expect(here).toMatch(/\bsecrets rotate /);
      const { code, stderr } = await sh(here);
      expect({ here, code, stderr }).toEqual({ here, code: 0, stderr: '' });
    }
    expect((await sh('secrets get due')).stdout).toMatch(/^[0-9a-f]{16}$/);
    expect((await sh('secrets get fresh')).stdout).toBe('v');
  });
});

test('the manifest’s settings are those of a secrets.yaml, which refuses values, and it holds no Secret', async () => {
  const place = await makePlace();
  try {
    const settings = manifests().flatMap(({ data }) => Object.values(data ?? {}));
    expect(settings).toHaveLength(1);
    writeFileSync(join(place.cwd, 'secrets.yaml'), settings[0] ?? '');
    const { code, stdout } = await place.sh('secrets stores --json');
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/"name": "team",\s+"provider": "vault"/) as string,
    ]);
    expect(manifests().map(({ kind }) => kind)).not.toContain('Secret');
  } finally {
    await place.remove();
  }
});

describeWith('systemd takes the units', [SYSTEMD], () => {
  let place: Place;
  beforeAll(async () => {
    place = await makePlace();
    const service = text('systemd/secrets-rotate.service');
    writeFileSync(
      join(place.root, 'secrets-rotate.service'),
      // It looks for the program.
      service.replace('/usr/local/bin/secrets', join(place.root, 'bin/secrets')),
    );
    copyFileSync(join(folder, 'systemd/secrets-rotate.timer'), join(place.root, 'secrets-rotate.timer'));
  });
  afterAll(() => place.remove());
  const unit = (name: string): string => join(place.root, `secrets-rotate.${name}`);

  test('without a warning', () => {
    expect(check(SYSTEMD, ['verify', '--man=no', unit('service'), unit('timer')])).toEqual({
      code: 0,
      output: '',
    });
  });

  test('and finds little that the service may do', () => {
    const { code, output } = check(SYSTEMD, [
      'security',
      '--offline=true',
      '--threshold=20',
      unit('service'),
    ]);
    expect({ code, output }).toEqual({
      code: 0,
      output: expect.stringMatching(/exposure level.*: [01]\.\d/) as string,
    });
  });

  test('a mistake is found', () => {
    writeFileSync(
      unit('mistaken.service').replace('secrets-rotate.', ''),
      '[Service]\nType=oneshot\nExecStrat=/bin/true\n',
    );
    expect(check(SYSTEMD, ['verify', '--man=no', join(place.root, 'mistaken.service')]).output).toMatch(
      /ExecStrat/,
    );
  });
});

describeWith('cron takes the table', [CRONTAB], () => {
  test('and refuses one with a mistake', async () => {
    const place = await makePlace();
    try {
      expect(check(CRONTAB, ['-n', join(folder, 'cron/crontab')])).toEqual({
        code: 0,
        output: expect.stringMatching(/successfully checked/) as string,
      });
      const mistaken = join(place.root, 'crontab');
      writeFileSync(mistaken, text('cron/crontab').replace('17 *', '77 *'));
      expect(check(CRONTAB, ['-n', mistaken])).toMatchObject({
        code: 1,
        output: expect.stringMatching(/bad minute/),
      });
    } finally {
      await place.remove();
    }
  });
});

describeWith('actionlint takes the workflow', [ACTIONLINT], () => {
  test('and refuses one with a mistake', async () => {
    const place = await makePlace();
    try {
      expect(check(ACTIONLINT, ['-no-color', join(folder, 'github-actions/rotate.yml')])).toEqual({
        code: 0,
        output: '',
      });
      const mistaken = join(place.root, 'rotate.yml');
      writeFileSync(mistaken, text('github-actions/rotate.yml').replace('id-token:', 'id-tokne:'));
      expect(check(ACTIONLINT, ['-no-color', mistaken])).toMatchObject({
        code: 1,
        output: expect.stringMatching(/unknown permission scope "id-tokne"/),
      });
    } finally {
      await place.remove();
    }
  });
});

describeWith('Kubernetes’ schemas take the manifest', [KUBERNETES], () => {
  test('and refuse one with a mistake', async () => {
    const place = await makePlace();
    try {
      const strict = ['--strict', '--quiet'];
      expect(check(KUBERNETES, [...strict, join(folder, 'kubernetes/cronjob.yaml')])).toEqual({
        code: 0,
        output: '',
      });
      const mistaken = join(place.root, 'cronjob.yaml');
      writeFileSync(
        mistaken,
        text('kubernetes/cronjob.yaml').replace('concurrencyPolicy', 'concurencyPolicy'),
      );
      expect(check(KUBERNETES, [...strict, mistaken])).toMatchObject({
        code: 1,
        output: expect.stringMatching(/concurencyPolicy/),
      });
    } finally {
      await place.remove();
    }
  });
});

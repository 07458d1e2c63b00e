import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { clean } from '../../output/confidential.ts';
import { compact } from '../../output/shapes.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { styleFor } from '../../output/style.ts';
import type { Finding } from '../../providers/provider.ts';
import type { Session } from '../../session/session.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';

interface DoctorOptions extends CommonOptions {
  readonly plugin?: string;
  readonly pluginSetting?: readonly string[];
  readonly pluginEnv?: readonly string[];
}

interface Section {
  readonly title: string;
  readonly findings: readonly Finding[];
}

export async function run(session: Session, { args, options }: Invocation<DoctorOptions>): Promise<number> {
  const { plugin, pluginSetting, pluginEnv } = options;
  if (plugin !== undefined) {
    if (args.length > 0) throw new SecretsError('Usage', '--plugin and stores exclude each other');
    const { tryPluginOf } = await import('./plugin.ts');
    return show(session, options, [await tryPluginOf(session, plugin, pluginSetting ?? [], pluginEnv ?? [])]);
  }
  if (pluginSetting !== undefined || pluginEnv !== undefined)
    throw new SecretsError('Usage', '--plugin-setting and --plugin-env need --plugin');
  const sections: Section[] = [{ title: 'this machine', findings: await machine(session) }];
  let names: readonly string[] = args;
  try {
    const config = await session.config();
    if (names.length === 0) {
      const own = [...config.stores.values()]
        .filter(({ source }) => source !== 'builtin')
        .map(({ name }) => name);
      names = own.length > 0 || config.untrustedDefault !== undefined ? own : [config.defaultStore];
    }
  } catch (thrown) {
    const { message, hint } = toSecretsError(thrown);
    sections.push({
      title: 'settings',
      findings: [{ check: 'secrets.yaml', status: 'fail', detail: message, hint }],
    });
    names = [];
  }
  // A store that does not exist is a mistake of the command line, not a finding.
  for (const name of args) await session.storeConfig(name);
  sections.push(...(await Promise.all(names.map((name) => store(session, name)))));
  return show(session, options, sections);
}

async function show(session: Session, options: CommonOptions, found: readonly Section[]): Promise<number> {
  const masked = (text: string): string => clean(text, session.world);
  const sections = found.map(({ title, findings }) => ({
    title,
    // What is wrong is said in the words of servers and of the system; what is right names what is there.
    findings: findings.map((finding) =>
      finding.status === 'ok'
        ? finding
        : { ...finding, detail: masked(finding.detail), hint: finding.hint && masked(finding.hint) },
    ),
  }));
  if (options.json === true) {
    await session.printJson(
      sections.map(({ title, findings }) => ({
        title,
        findings: findings.map((finding) => compact({ ...finding })),
      })),
    );
  } else {
    await print(session, sections);
  }
  return sections.some(({ findings }) => findings.some(({ status }) => status === 'fail')) ? 1 : 0;
}

async function machine(session: Session): Promise<readonly Finding[]> {
  const findings: Finding[] = [node()];
  try {
    const { file, profile, defaultStore, project } = await session.config();
    const where = file === undefined ? 'no secrets.yaml found' : file;
    const named = profile === undefined ? '' : `, profile ${profile}`;
    findings.push({
      check: 'settings',
      status: 'ok',
      detail: `${where}${named}; default store ${defaultStore}`,
    });
    if (project !== undefined && !project.trusted) {
      const [first] = project.lines;
      findings.push({
        check: 'trust',
        status: 'warn',
        detail: `${project.lines.length} settings are not acted on, first ${first?.setting ?? ''} in line ${first?.line ?? 0}`,
        hint: 'review and accept them with secrets trust',
      });
    }
  } catch {
    // The caller reports it as a section of its own.
  }
  for (const [name, use] of [
    ['@lydell/node-pty', 'exec --redact keeps a terminal a terminal'],
    ['@napi-rs/keyring', 'the local store can keep its key in the OS key chain'],
  ] as const) {
    const there = await installed(name);
    findings.push({
      check: 'optional package',
      status: there ? 'ok' : 'warn',
      detail: there ? `${name}: ${use}` : `${name} is not installed`,
      hint: there ? undefined : `install it so that ${use}`,
    });
  }
  return findings;
}

/** The oldest Node.js that package.json allows. */
const OLDEST_NODE = [20, 12] as const;

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  return {
    check: 'node',
    status: enough ? 'ok' : 'fail',
    detail: process.version,
    hint: enough ? undefined : `install Node.js ${OLDEST_NODE.join('.')} or newer`,
  };
}

async function installed(name: '@lydell/node-pty' | '@napi-rs/keyring'): Promise<boolean> {
  try {
    await (name === '@lydell/node-pty' ? import('@lydell/node-pty') : import('@napi-rs/keyring'));
    return true;
  } catch {
    return false;
  }
}

async function store(session: Session, name: string): Promise<Section> {
  const title = `store ${name}`;
  const findings: Finding[] = [];
  try {
    const provider = await session.open(name);
    findings.push(...(await provider.diagnose(session.call())));
    const { principal, source, details } = await provider.identity(session.call());
    const more = Object.entries(details ?? {}).map(([key, value]) => `${key} ${value}`);
    findings.push({
      check: 'identity',
      status: 'ok',
      detail: [principal, `from ${source}`, ...more].join(', '),
    });
  } catch (thrown) {
    const { message, hint } = toSecretsError(thrown);
    findings.push({ check: 'identity', status: 'fail', detail: message, hint });
  }
  return { title, findings };
}

async function print(session: Session, sections: readonly Section[]): Promise<void> {
  const style = await styleFor(session, session.world.stdout);
  const mark = { ok: style.green('ok  '), warn: style.yellow('warn'), fail: style.red('fail') };
  for (const { title, findings } of sections) {
    await session.print(`${style.bold(singleLine(title))}\n`);
    const width = Math.max(16, ...findings.map(({ check }) => check.length));
    for (const { check, status, detail, hint } of findings) {
      const next = hint === undefined ? '' : `\n         → ${singleLine(hint)}`;
      await session.print(`  ${mark[status]} ${check.padEnd(width)} ${singleLine(detail)}${next}\n`);
    }
  }
}

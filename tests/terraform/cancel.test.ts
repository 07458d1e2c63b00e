/** Ctrl-C in the middle of an apply, while a store doesn't answer to a write. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { scenarioFiles, startAws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { TOFU } from '../backends/vault-clients.ts';
import { type FaultProxy, startFaultProxy } from '../contract/fault-proxy.ts';
import { filesWith, makeProject, type Project, providersOf, stateOf, until } from './kit.ts';

const CANARY = 'c4n4ry-Cn8/Qw2+Rt5';
const APPLY = ['apply', '-auto-approve', '-parallelism=10'];

const MAIN = `
variable "value" {
  type      = string
  ephemeral = true
}
resource "secrets_secret" "many" {
  count            = 10
  ref              = "aws://cancel/\${count.index}"
  value_wo         = var.value
  value_wo_version = 1
}
`;

describeWith('an apply that is interrupted', [TOFU, ...scenarioFiles], () => {
  let aws: Awaited<ReturnType<typeof startAws>>;
  let proxy: FaultProxy;
  let project: Project;
  beforeEach(async () => {
    aws = await startAws();
    proxy = await startFaultProxy({ url: aws.url });
    const log = { TF_LOG: 'TRACE', TF_LOG_PATH: 'trace.log' };
    project = await makeProject({ ...aws.admin, AWS_ENDPOINT_URL: proxy.url, ...log, TF_VAR_value: CANARY });
  }, 60_000);
  afterEach(async () => {
    await project.remove();
    await proxy.stop();
    await aws.stop();
  });

  /** Applies, and interrupts it when all ten have asked. */
  const interrupted = async (): Promise<{ readonly shown: string; readonly ms: number }> => {
    const { place, env } = project;
    const tofu = spawn(TOFU, APPLY, {
      cwd: place.cwd,
      env: { ...place.env, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let shown = '';
    for (const stream of [tofu.stdout, tofu.stderr])
      stream.on('data', (chunk: Buffer) => {
        shown += chunk.toString();
      });
    const exit = once(tofu, 'close');
    await until(() => proxy.requests.length >= 10);
    const start = Date.now();
    // A terminal sends it to every process of the group.
    process.kill(-(tofu.pid ?? 0), 'SIGINT');
    expect(await exit).toEqual([1, null]);
    const ms = Date.now() - start;
    await until(() => providersOf(place).length === 0);
    expect(shown).toContain('Interrupt received');
    expect(shown).not.toContain(CANARY);
    expect(readdirSync(place.tmp)).toEqual([]);
    return { shown, ms };
  };

  test('what the store has written is in the state, what it has not is created by the next apply', async () => {
    project.write(MAIN);
    proxy.heal();
    proxy.fault('hang', { skip: 4, times: 6 });
    const { shown, ms } = await interrupted();
    expect(ms).toBeLessThan(20_000);
    expect(shown.match(/aws:\/\/cancel\/\d: no answer in time; the change may have been made/g)).toHaveLength(
      6,
    );
    const [many] = stateOf(project)?.resources ?? [];
    expect(many?.instances).toHaveLength(4);
    proxy.heal();
    const again = await project.ok(`tofu ${APPLY.join(' ')}`);
    expect(again.stdout).toContain('Resources: 6 added, 0 changed, 0 destroyed.');
    expect((await project.ok('secrets get aws://cancel/9')).stdout).toBe(CANARY);
    expect(await filesWith(project, CANARY)).toEqual([]);
  }, 120_000);

  test('a write whose answer never came is not repeated blindly', async () => {
    project.write(MAIN);
    proxy.heal();
    proxy.fault('stall', { skip: 9, times: 1 });
    await interrupted();
    expect(stateOf(project)?.resources[0]?.instances).toHaveLength(9);
    proxy.heal();
    const again = await project.sh(`tofu ${APPLY.join(' ')}`);
    expect(again.code).toBe(1);
    const [, left = ''] =
      /aws:\/\/cancel\/(\d): already exists, and is not in the state/.exec(again.stderr) ?? [];
    await project.ok(`tofu import 'secrets_secret.many[${left}]' aws://cancel/${left}`);
    await project.ok(`tofu ${APPLY.join(' ')}`);
    expect(await filesWith(project, CANARY)).toEqual([]);
  }, 120_000);
});

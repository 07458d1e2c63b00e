/** The target `program`: the user's own hooks. docs/rotation-targets.md documents their input and exit codes. */
import { IN_DOUBT, SecretsError } from '../../../core/errors.ts';
import type { JsonValue } from '../../../core/json.ts';
import { utf8 } from '../../../core/utf8.ts';
import { absoluteFolders, findProgram } from '../../../platform/find-program.ts';
import type {
  Credential,
  Known,
  RetirePhase,
  Rotation,
  Target,
  TargetContext,
  TargetFinding,
  TargetSettings,
  Verdict,
} from '../../target.ts';
import { controlFindings } from '../control.ts';
import { ValueRefused } from '../../next-step.ts';
import { type HookEnd, runHook } from './run.ts';
import type { Command, ProgramSettings } from './settings.ts';

/** A verify hook's exit code for "refused"; anything other than 0 and this one is a failure of the hook. */
const REFUSED = 10;

export function open(settings: TargetSettings, context: TargetContext): Target {
  return new ProgramTarget(settings as unknown as ProgramSettings, context);
}

class ProgramTarget implements Target {
  readonly late = true;
  readonly #settings: ProgramSettings;
  readonly #context: TargetContext;

  constructor(settings: ProgramSettings, context: TargetContext) {
    this.#settings = settings;
    this.#context = context;
  }

  limitKey(): undefined {
    return undefined;
  }

  get #verify(): Command | undefined {
    const { verify } = this.#settings;
    return verify === 'none' ? undefined : verify;
  }

  async check(known: Known, signal: AbortSignal, wrong?: Credential): Promise<readonly TargetFinding[]> {
    const { folder, env } = this.#context;
    const findings: TargetFinding[] = [];
    for (const name of ['apply', 'verify', 'retire'] as const) {
      const command = name === 'verify' ? this.#verify : this.#settings[name];
      if (command === undefined) continue;
      const [program = ''] = wordsOf(command);
      const found = findProgram(program, absoluteFolders(env['PATH']), folder);
      const check = `${name} hook`;
      findings.push(
        typeof found === 'string'
          ? { check, status: 'ok', detail: program }
          : {
              check,
              status: 'fail',
              kind: 'Usage',
              detail: `${program} can't be run`,
              hint: 'check its path and its mode',
            },
      );
    }
    if (this.#verify === undefined)
      return [
        ...findings,
        { check: 'verify hook', status: 'warn', detail: 'none, so a new value is not tried' },
      ];
    if (!findings.every(({ status }) => status === 'ok')) return findings;
    return [...findings, ...(await controlFindings(this, 'verify hook', known, wrong, false, signal))];
  }

  async apply(credential: Credential, known: Known, rotation: Rotation, signal: AbortSignal): Promise<void> {
    const end = await this.#run(
      'apply',
      this.#settings.apply,
      { new: credential, current: known.current, pending: known.pending, previous: known.previous },
      { rotation: { id: rotation.id, startedAt: rotation.startedAt.toISOString() } },
      signal,
    );
    if (end.code !== 0) throw failed('apply', this.#settings.apply, end, IN_DOUBT);
  }

  async verify(credential: Credential, signal: AbortSignal): Promise<Verdict> {
    const verify = this.#verify;
    if (verify === undefined) return 'unknown';
    const end = await this.#run('verify', verify, { new: credential }, {}, signal);
    if (end.code === 0) return 'accepted';
    if (end.code === REFUSED) return 'refused';
    throw failed('verify', verify, end, '');
  }

  async retire(old: Credential, current: Credential, phase: RetirePhase, signal: AbortSignal): Promise<void> {
    const { retire } = this.#settings;
    if (retire === undefined || Buffer.compare(old.value, current.value) === 0) return;
    const end = await this.#run('retire', retire, { old, current }, { phase }, signal);
    if (end.code !== 0) throw failed('retire', retire, end, IN_DOUBT);
  }

  async close(): Promise<void> {}

  #run(
    event: 'apply' | 'verify' | 'retire',
    command: Command,
    credentials: Readonly<Record<string, Credential | undefined>>,
    more: Readonly<Record<string, JsonValue>>,
    signal: AbortSignal,
  ): Promise<HookEnd> {
    const { reference } = this.#context;
    const values = Object.values(credentials).flatMap((one) => (one === undefined ? [] : [one.value]));
    const given = Object.entries(credentials).map(([name, one]) => [
      name,
      one === undefined ? null : shapeOf(one),
    ]);
    const input = { version: 1, event, reference, ...more, ...Object.fromEntries(given) };
    return runHook(
      wordsOf(command),
      input,
      values,
      event === 'verify' ? '' : IN_DOUBT,
      this.#context,
      signal,
    );
  }
}

/** `value` as text, or `valueBase64` if it isn't text; `fields` for a JSON secret. */
function shapeOf({ value, fields }: Credential): object {
  const text = utf8(value);
  return {
    ...(text === undefined ? { valueBase64: Buffer.from(value).toString('base64') } : { value: text }),
    ...(fields !== undefined && { fields }),
  };
}

function wordsOf(command: Command): readonly string[] {
  return typeof command === 'string' ? [command] : command;
}

function failed(event: string, command: Command, end: HookEnd, doubt: string): SecretsError {
  const [name = ''] = wordsOf(command);
  const how = end.killedBy === null ? `ended with ${end.code ?? 'nothing'}` : `was killed by ${end.killedBy}`;
  const said = end.lastLine === '' ? '' : `: ${end.lastLine}`;
  const message = `the ${event} hook ${name} ${how}${said}${doubt}`;
  const hint = 'run it by hand: docs/rotation-targets.md says what it reads';
  // A hook that exits has answered, even if nobody knows what it had sent by then.
  return end.code === null
    ? new SecretsError('Unavailable', message, { hint })
    : new ValueRefused('Unavailable', message, { hint });
}

/** Determines which variables of a project's file need trust. */
import { isHarmlessLiteral, isPlainData, steers } from '../core/environment/steering.ts';
import type { EnvEntry } from './config.ts';
import type { TrustLine } from '../core/trust.ts';

/** What exists independently of the project's file. */
export interface VariableContext {
  /** The environment that programs would inherit. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Names of variables in the user's own file. */
  readonly own: ReadonlySet<string>;
  readonly isNative: (text: string) => boolean;
}

/** The line that needs trust here, or only where something else has set the variable. */
export interface VariableTrust {
  readonly here?: TrustLine;
  readonly elsewhere?: TrustLine;
  /** The line only concerns this environment, and only if the secret differs from the inherited value. */
  readonly unlessSame?: true;
}

export function variableTrust(
  name: string,
  entry: EnvEntry,
  { setting, line }: { readonly setting: string; readonly line: number },
  { env, own, isNative }: VariableContext,
): VariableTrust {
  const value = entry.kind === 'literal' ? entry.value : entry.ref;
  const asking = (effect: string): TrustLine => ({ setting, value, effect, line });
  if (steers(name)) return { here: asking('this variable changes what programs run, or whom they believe') };
  const taken = asking(
    `this ${entry.kind === 'ref' ? 'secret' : 'text'} takes the place of what you have set`,
  );
  if (entry.kind === 'ref') {
    // An ARN, project or vault: the file chose the account, and so controls the value.
    if (isNative(entry.ref))
      return {
        here: asking('this secret is read from an account that the file names, and programs get its value'),
      };
    if (!isPlainData(name))
      return { here: asking('programs may obey this variable: it has no name of a secret') };
    if (own.has(name)) return { here: taken };
    return env[name] === undefined ? {} : { here: taken, unlessSame: true };
  }
  if (!isHarmlessLiteral(name, value))
    return { here: asking('programs get this text in place of a value of your own choice') };
  const set = env[name];
  // The same text changes nothing: a program started by `exec` may start another one that way.
  const replaces = own.has(name) || (set !== undefined && set !== value);
  return replaces ? { here: taken } : { elsewhere: taken };
}

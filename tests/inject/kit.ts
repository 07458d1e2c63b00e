/** Renders templates in this process, in chunks as small as they can be. */
import { createHash } from 'node:crypto';
import type { Format } from '../../src/inject/formats/names.ts';
import {
  render,
  survey,
  surveySteps,
  type Survey,
  type Template,
  tryAll,
  type Use,
  written,
} from '../../src/inject/render.ts';
import { Unfit } from '../../src/inject/formats/lexer.ts';
import type { Source } from '../../src/inject/source.ts';

function sourceOf(text: string | Buffer, chunk: number): Source {
  const bytes = Buffer.from(text);
  return {
    name: 'template',
    *chunks() {
      for (let at = 0; at < bytes.length; at += chunk) yield bytes.toString('latin1', at, at + chunk);
    },
    hash: () => createHash('sha256').update(bytes).digest('hex'),
  };
}

export interface Outcome {
  readonly output: Buffer;
  /** Messages, as `LINE:COLUMN: …`. */
  readonly problems: readonly string[];
}

/** @param values by reference */
export async function inject(
  format: Format,
  text: string | Buffer,
  values: ReadonlyMap<string, string | Uint8Array>,
  { chunk = 1 << 20, stores }: { readonly chunk?: number; readonly stores?: readonly string[] } = {},
): Promise<Outcome> {
  const template: Template = { source: sourceOf(text, chunk), format, stores };
  const found = await survey(template, new AbortController().signal);
  const valueOf = (ref: string): Uint8Array => {
    const value = values.get(ref);
    if (value === undefined) throw new Error(`no value for ${ref}`);
    return Buffer.from(value);
  };
  const problems = [...found.problems, ...tryAll(template, found.uses, valueOf)];
  const output: Uint8Array[] = [];
  if (problems.length === 0)
    await render(template, found, valueOf, { write: (bytes) => void output.push(bytes), afterChange: '' });
  return {
    output: Buffer.concat(output),
    problems: problems.map(({ message }) => message.replace(/^template:/, '')),
  };
}

function surveyAtOnce(template: Template): Survey {
  const steps = surveySteps(template);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Where the only placeholder of a template stands. */
export function useOf(format: Format, text: string): Use {
  const { uses, problems } = surveyAtOnce({ source: sourceOf(text, 1 << 20), format, stores: undefined });
  if (problems.length > 0) throw problems[0] as Error;
  if (uses.length !== 1) throw new Error(`${uses.length} placeholders in ${text}`);
  return uses[0] as Use;
}

/** Whether a value can be written in the place of `{{ x }}`; why not, if it can't. */
export function refusedFor(format: Format, text: string, value: string | Uint8Array): string | undefined {
  try {
    written(format, useOf(format, text), Buffer.from(value));
    return undefined;
  } catch (thrown) {
    if (thrown instanceof Unfit) return thrown.has;
    throw thrown;
  }
}

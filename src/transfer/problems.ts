import { SecretsError } from '../core/errors.ts';

/** The line of an offset, counted from 1. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** The line of an offset, counted from 1; offsets have to be queried in ascending order. */
export function lineCounter(text: string): (offset: number) => number {
  let line = 1;
  let counted = 0;
  return (offset) => {
    for (let at = text.indexOf('\n', counted); at !== -1 && at < offset; at = text.indexOf('\n', counted)) {
      line += 1;
      counted = at + 1;
    }
    return line;
  };
}

/** Errors about an imported file: its name and a line, never its text. */
export class FileProblems {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  at(line: number, why: string, hint?: string): SecretsError {
    return new SecretsError('Invalid', `${this.file}:${line}: ${why}`, { hint });
  }

  whole(why: string, hint = 'name its format with --format'): SecretsError {
    return new SecretsError('Invalid', `${this.file} ${why}`, { hint });
  }
}

import { SecretsError } from '../core/errors.ts';

/** Errors about a file that is imported: its name and a line, never its text. */
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

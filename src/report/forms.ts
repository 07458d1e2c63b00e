/**
 * The forms of a report: each makes a text of the same data. A further form is one entry here and a module that is
 * loaded when it is asked for.
 */
import type { ReportData } from '../core/findings/report.ts';

export const FORMATS = ['terminal', 'json', 'sarif', 'markdown', 'html'] as const;
export type Format = (typeof FORMATS)[number];

/** What a form may know beside the data. */
export interface FormOptions {
  /** Whether colour is wanted; for the terminal. */
  readonly colour: boolean;
  /** Version of the program. */
  readonly version: string;
}

/** @returns the whole text, with a last newline */
export async function render(format: Format, data: ReportData, options: FormOptions): Promise<string> {
  switch (format) {
    case 'json':
      return (await import('./json.ts')).renderJson(data);
    case 'sarif':
      return (await import('./sarif.ts')).renderSarif(data, options.version);
    case 'markdown':
      return (await import('./markdown.ts')).renderMarkdown(data);
    case 'html':
      return (await import('../output/html/render.ts')).renderPage(data, options.version);
    case 'terminal':
      return (await import('./terminal.ts')).renderTerminal(data, options.colour);
  }
}

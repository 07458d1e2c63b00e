/**
 * The formats of a report: each renders the same data. To add one, add an entry here and a module that is loaded on
 * demand.
 */
import type { ReportData } from '../core/findings/report.ts';

export const FORMATS = ['terminal', 'json', 'sarif', 'markdown', 'html'] as const;
export type Format = (typeof FORMATS)[number];

export interface FormOptions {
  /** Whether to use colour; for the terminal. */
  readonly colour: boolean;
  /** The program's version. */
  readonly version: string;
}

/** @returns the whole text, with a final newline */
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

/** The stores that scenarios run with, and how each one's server is started. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A running server and the environment in which `secrets` finds it. */
export interface ScenarioBackend {
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** What tests/backends/<store>.ts exports for scenarios. */
export interface ScenarioBackendModule {
  /** Files without which the server can't start. */
  readonly scenarioFiles: readonly string[];
  startForScenarios(): Promise<ScenarioBackend>;
}

export type Found =
  | { readonly usable: true; readonly start: () => Promise<ScenarioBackend> }
  | { readonly usable: false; readonly why: string };

const NOTHING: ScenarioBackend = { env: {}, stop: () => Promise.resolve() };

export async function findBackend(store: string): Promise<Found> {
  if (store === 'local') return { usable: true, start: () => Promise.resolve(NOTHING) };
  const file = fileURLToPath(new URL(`../backends/${store}.ts`, import.meta.url));
  if (!existsSync(file)) return { usable: false, why: `tests/backends/${store}.ts is missing` };
  const module = (await import(file)) as Partial<ScenarioBackendModule>;
  const { startForScenarios, scenarioFiles = [] } = module;
  if (startForScenarios === undefined)
    return { usable: false, why: `tests/backends/${store}.ts starts none` };
  const missing = scenarioFiles.filter((path) => !existsSync(path));
  if (missing.length > 0) return { usable: false, why: 'run `npm run backends`' };
  return { usable: true, start: startForScenarios };
}

import { lstatSync } from 'node:fs';

/**
 * Whether there may be an agent, so that it is worth asking before the program is loaded. The places are those of
 * `socketPaths`, which would take longer to load than to repeat. Who answers there is checked later.
 */
export function mayBeAgent({
  XDG_RUNTIME_DIR: run,
  XDG_CACHE_HOME: cache,
  HOME: home,
}: NodeJS.ProcessEnv): boolean {
  const own = cache?.startsWith('/') === true ? cache : `${home}/.cache`;
  return (
    isThere(`${own}/secrets/agent/agent.sock`) || (run !== undefined && isThere(`${run}/secrets/agent.sock`))
  );
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

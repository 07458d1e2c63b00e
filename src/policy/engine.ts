/**
 * Cedar, as WebAssembly beside the program. Loaded only where there is a policy file: reading and compiling it takes
 * longer than most commands.
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import * as cedar from '@cedar-policy/cedar-wasm/web';

/** Relative to the bundled file; inserted by the build. */
declare const SECRETS_CEDAR_WASM: string | undefined;

const IN_PACKAGE = '../../node_modules/@cedar-policy/cedar-wasm/web/cedar_wasm_bg.wasm';

let isReady = false;

/** @param isLasting the process makes many decisions: V8 may take its time to make them fast */
export function loadCedar(isLasting = false): typeof cedar {
  if (isReady) return cedar;
  // Node 20 would compile all of it twice, the second time slowly: 0.5 s of CPU for a first decision.
  if (!isLasting && Number.parseInt(process.versions.node, 10) < 22) setFlagsFromString('--liftoff-only');
  const place = typeof SECRETS_CEDAR_WASM === 'string' ? SECRETS_CEDAR_WASM : IN_PACKAGE;
  cedar.initSync({ module: readFileSync(new URL(place, import.meta.url)) });
  isReady = true;
  return cedar;
}

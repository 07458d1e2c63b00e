/** Rotations in stores without conditional writes, whose claims are kept in another one. */
import { defineEngineTests } from './engine.ts';
import { LOCKED } from './stores.ts';

defineEngineTests(LOCKED);

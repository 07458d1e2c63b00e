/** Rotations in the stores that keep their own claims. */
import { defineEngineTests } from './engine.ts';
import { STORES } from './stores.ts';

defineEngineTests(STORES.filter(({ title }) => title !== 'gcp'));

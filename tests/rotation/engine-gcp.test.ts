/** Rotations in Google Secret Manager, whose double answers slowest. */
import { defineEngineTests } from './engine.ts';
import { STORES } from './stores.ts';

defineEngineTests(STORES.filter(({ title }) => title === 'gcp'));

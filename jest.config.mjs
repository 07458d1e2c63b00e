import { availableParallelism } from 'node:os';

export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } },
    ],
  },
  // Nothing else is looked through, and nothing is kept outside of the checkout.
  roots: ['<rootDir>/src', '<rootDir>/tests'],
  cacheDirectory: '<rootDir>/.work/jest',
  testMatch: ['<rootDir>/tests/**/*.test.ts'],
  // For what hangs: on a machine that does other work as well, a test may take ten times as long.
  testTimeout: 240_000,
  // What a small run takes of the loops depends on it (tests/size.ts).
  showSeed: true,
  // Most tests wait for programs and servers: two more than there are cores keep these busy.
  maxWorkers: availableParallelism() + 2,
  testSequencer: '<rootDir>/tests/sequencer.mjs',
  globalSetup: '<rootDir>/tests/global-setup.mjs',
  globalTeardown: '<rootDir>/tests/global-teardown.mjs',
  reporters: ['default', '<rootDir>/tests/reporter.mjs'],
};

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
  testTimeout: 60_000,
};

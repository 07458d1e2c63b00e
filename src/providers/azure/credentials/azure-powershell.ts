// A module of its own, so that the bundle has a chunk with this class and little more.
export { AzurePowerShellCredential } from '@azure/identity';

// A module of its own, so that the bundle has a chunk with this class and little more.
export { ManagedIdentityCredential } from '@azure/identity';

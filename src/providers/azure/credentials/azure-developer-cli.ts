// A separate module, so that the bundle gets a chunk with little more than this class.
export { AzureDeveloperCliCredential } from '@azure/identity';

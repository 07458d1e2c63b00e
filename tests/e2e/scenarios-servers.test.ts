/** The scenarios on Vault and Conjur. */
import { defineScenarios, SERVERS } from './scenarios.ts';

await defineScenarios((store) => SERVERS.includes(store));

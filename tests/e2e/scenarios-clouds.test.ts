/** The scenarios on the clouds’ stores. */
import { CLOUDS, defineScenarios } from './scenarios.ts';

await defineScenarios((store) => CLOUDS.includes(store));

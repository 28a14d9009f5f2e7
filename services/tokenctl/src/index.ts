export { runTokenctl } from './program.js';
export type { Door, Output, Surroundings } from './surroundings.js';
export type { ConnectionSettings, NatsLogin } from './connection-settings.js';

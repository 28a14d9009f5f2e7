export type * from './configuration.js';
export {
  loadConfiguration,
  parseConfiguration,
  type ConfigurationOptions,
  type LoadedConfiguration,
  type ParseOptions,
} from './load.js';
export { formatProblems, type ConfigurationProblem, type ConfigurationProblems } from './problems.js';
export type { FileContent, ReadFile } from './secret-file.js';
export { configurationJsonSchema } from './json-schema.js';
export { natsPermissions, renderNatsAuthorization, type NatsUserPermissions } from './nats-permissions.js';
export { secretsOf, secretsOfDoor } from './secrets.js';
export type { SourceTraits } from './providers/source-traits.js';
export { traitsOf } from './providers/traits.js';

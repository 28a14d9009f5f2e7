/** The port of a provider. For modules of one's own: they need the types alone. */
export { ok, err, Redacted, type Clock, type Result } from '@token-broker/foundation';
export { issued, refused, type IssuedContent } from './outcomes.js';
export type { CreateProvider, ProviderSurroundings } from './own-provider.js';
export type * from './provider.js';

import type { Redacted } from '@token-broker/foundation';
import type { AdminDoorConfiguration, SourceConfiguration } from './configuration.js';
import { traitsOf } from './providers/traits.js';

/** Every secret that a source's configuration holds: what must be in no log line, whoever repeats it. */
export function secretsOf(source: SourceConfiguration): readonly Redacted[] {
  return traitsOf(source).secrets;
}

/** The same of the HTTP door. */
export function secretsOfDoor({ tls, tokens }: AdminDoorConfiguration): readonly Redacted[] {
  return [
    ...(tls === undefined ? [] : [tls.key]),
    ...tokens.flatMap(({ token }) => (token === undefined ? [] : [token])),
  ];
}

import type { AuditConfiguration } from '@token-broker/configuration';
import type { Clock, Random } from '@token-broker/foundation';
import { AuditFile } from '../adapters/audit/audit-file.js';
import { auditToStdout } from '../adapters/audit/audit-stdout.js';
import { createAuditTrail, type AuditTrail } from '../adapters/audit/audit-trail.js';
import { auditToStream } from '../adapters/nats/audit-stream.js';
import type { NatsLink } from '../adapters/nats/nats-connection.js';
import type { JsonLog } from '../adapters/telemetry/log.js';
import type { AuditDestination } from '../app/ports/audit.js';
import type { Metrics } from '../app/ports/telemetry.js';

export interface ComposedAudit {
  readonly trail: AuditTrail;
  /** Why the trail could never be written, in words for whoever starts the broker. */
  readonly problem: () => Promise<string | undefined>;
}

/** The audit trail of a configuration. */
export function composeAudit(
  { to, file, stream }: AuditConfiguration,
  ports: {
    readonly clock: Clock;
    readonly random: Random;
    readonly broker: string;
    readonly log: JsonLog;
    readonly metrics: Metrics;
    /** The connection that publishes. */
    readonly events: NatsLink;
  },
): ComposedAudit {
  const { clock, random, broker, log, metrics, events } = ports;
  const ownFile = file === undefined ? undefined : new AuditFile(file);
  const destinations: AuditDestination[] = [];
  if (to === 'stdout') destinations.push(auditToStdout((line) => log.writeLine(line)));
  if (ownFile !== undefined) destinations.push(ownFile);
  if (stream !== undefined) destinations.push(auditToStream({ connection: events, stream, clock }));
  const trail = createAuditTrail({
    destinations,
    clock,
    random,
    broker,
    mask: (text) => log.mask(text),
    log,
    metrics,
  });
  return { trail, problem: async () => ownFile?.problem() };
}

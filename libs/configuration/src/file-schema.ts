import { IDENTIFIER_PATTERN } from '@token-broker/protocol';
import { z } from 'zod';
import type { Configuration } from './configuration.js';
import { checkAcrossSections } from './file-checks.js';
import { sourceSchema, toSource } from './providers/source.js';
import { identifier, IDENTIFIER_RULE, withDefault } from './scalars.js';
import { auditSchema, toAudit } from './sections/audit.js';
import { callerSchema, toCaller } from './sections/callers.js';
import { encryptionSchema, toEncryption } from './sections/encryption.js';
import { httpSchema, toHttp } from './sections/http.js';
import { natsSchema, toNats } from './sections/nats.js';
import { clusterSchema, logSchema, memorySchema } from './sections/process.js';
import { redisSchema, toRedis } from './sections/redis.js';
import { crossCheck, settings, wrongKind } from './settings.js';

/** A mapping from names to something. */
function named<Value extends z.ZodType>(description: string, value: Value): z.ZodRecord<z.ZodString, Value> {
  const record = z
    .record(z.string(), value, { error: (issue) => wrongKind('a mapping from names', issue.input) })
    .meta({ description, propertyNames: { pattern: IDENTIFIER_PATTERN.source } });
  return crossCheck(record, (entries, report) => {
    for (const name of Object.keys(entries)) {
      if (!IDENTIFIER_PATTERN.test(name)) report([name], 'is not a possible name', IDENTIFIER_RULE);
    }
  });
}

/** The whole file, as it is written. */
export const fileSchema = crossCheck(
  settings('Configuration of a token broker.', {
    namespace: withDefault(
      identifier('Prefix of every Redis key, so that several brokers can share a server.'),
      'token-broker',
    ),
    nats: natsSchema,
    redis: redisSchema,
    encryption: encryptionSchema,
    http: httpSchema.prefault({}),
    log: logSchema.prefault({}),
    audit: auditSchema.prefault({}),
    cluster: clusterSchema.prefault({}),
    memory: memorySchema.prefault({}),
    sources: named('The sources by name.', sourceSchema).prefault({}),
    callers: named(
      'The callers by name, and what they may do. A name is that of the caller’s NATS user.',
      callerSchema,
    ).prefault({}),
  }),
  checkAcrossSections,
);

export type WrittenFile = z.output<typeof fileSchema>;

export function toConfiguration(written: WrittenFile): Configuration {
  const { cluster } = written;
  return Object.freeze({
    namespace: written.namespace,
    nats: toNats(written.nats),
    redis: toRedis(written.redis),
    encryption: toEncryption(written.encryption),
    http: toHttp(written.http),
    log: Object.freeze(written.log),
    audit: toAudit(written.audit, written.nats.subjectPrefix),
    cluster: Object.freeze({
      partitions: cluster.partitions,
      tickMs: cluster.tick,
      minLifetimeMs: cluster.minLifetime,
      maxStalenessMs: cluster.maxStaleness,
      demandMs: cluster.demand,
    }),
    memory: Object.freeze(written.memory),
    sources: new Map(Object.entries(written.sources).map(([name, source]) => [name, toSource(name, source)])),
    callers: new Map(Object.entries(written.callers).map(([name, caller]) => [name, toCaller(name, caller)])),
  });
}

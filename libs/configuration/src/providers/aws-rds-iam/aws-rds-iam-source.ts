import { z } from 'zod';
import type { AwsRdsIamSourceConfiguration } from '../../configuration.js';
import { integer, text } from '../../scalars.js';
import { crossCheck, settings } from '../../settings.js';
import { accessSchema, checkAccess, formedText, region, toAccess } from '../aws-access.js';
import { callingSettings, checkCalling, toCalling } from '../calling.js';

const HOST = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

export const awsRdsIamSchema = crossCheck(
  settings(
    'Passwords of 15 minutes for databases of Amazon RDS and Aurora, by IAM. They are signed here: nobody is called.',
    {
      provider: z.literal('aws-rds-iam').meta({ description: 'The kind of upstream.' }),
      host: formedText('The host of the database, as applications connect to it.', HOST, 'the name of a host'),
      port: integer('Its port.', { min: 1, max: 65_535 }),
      user: text('The user of the database.'),
      region,
      credentials: accessSchema,
      timeout: callingSettings.timeout,
      lockTime: callingSettings.lockTime,
      refresh: callingSettings.refresh,
    },
  ),
  (written, report) => {
    checkCalling(written, report);
    checkAccess(written, report);
  },
);

export function toAwsRdsIamSource(
  name: string,
  written: z.output<typeof awsRdsIamSchema>,
): AwsRdsIamSourceConfiguration {
  const { provider, host, port, user } = written;
  return Object.freeze({
    name,
    provider,
    host,
    port,
    user,
    region: written.region,
    access: toAccess(written.credentials),
    scopes: Object.freeze([]),
    ...toCalling({ ...written, withoutRedis: 'refuse' }),
  });
}

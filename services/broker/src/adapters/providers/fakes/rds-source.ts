import type { AwsRdsIamSourceConfiguration } from '@token-broker/configuration';
import { REGION } from './sts-endpoint.js';
import { KEYS } from './sts-source.js';

export function rdsSource(change: Partial<AwsRdsIamSourceConfiguration>): AwsRdsIamSourceConfiguration {
  return {
    name: 'orders-db',
    provider: 'aws-rds-iam',
    host: 'orders.cluster-canary.eu-central-1.rds.amazonaws.com',
    port: 5432,
    user: 'orders',
    region: REGION,
    access: KEYS,
    scopes: [],
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...change,
  };
}

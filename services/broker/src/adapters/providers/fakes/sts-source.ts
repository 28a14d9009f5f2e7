import type { AwsAccess, AwsStsSourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { REGION } from './sts-endpoint.js';

/** Keys of a user, which an endpoint has to be told of. */
export const KEYS: Extract<AwsAccess, { kind: 'keys' }> = {
  kind: 'keys',
  accessKeyId: 'AKIACANARY000000',
  secretAccessKey: new Redacted('canary/of+the/user'),
};

export const session = {
  roleArn: 'arn:aws:iam::123456789012:role/orders',
  sessionName: 'token-broker-orders',
  policyArns: [],
};

export function stsSource(change: Partial<AwsStsSourceConfiguration>): AwsStsSourceConfiguration {
  return {
    name: 'orders-aws',
    provider: 'aws-sts',
    operation: { kind: 'get-session-token', access: KEYS },
    region: REGION,
    sessionDurationMs: 3_600_000,
    scopes: [],
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...change,
  };
}

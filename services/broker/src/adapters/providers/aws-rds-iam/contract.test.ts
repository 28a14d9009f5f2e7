import type { AwsRdsIamSourceConfiguration, SourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { itKeepsTheContract } from '../fakes/contract/provider-contract.js';
import { KEYS } from '../fakes/sts-source.js';
import { rdsSource } from '../fakes/rds-source.js';

const having =
  (change: Partial<AwsRdsIamSourceConfiguration>) =>
  (source: SourceConfiguration): SourceConfiguration => ({ ...(source as AwsRdsIamSourceConfiguration), ...change });

const NOBODY = 'nobody is called';

itKeepsTheContract('aws-rds-iam', {
  start: () => Promise.resolve({ source: rdsSource({}), will: () => undefined, calls: () => 0, takenBack: [] }),
  tokenType: 'password',
  username: 'orders',
  never: { issue: NOBODY, deny: NOBODY, throttle: NOBODY, break: NOBODY, babble: NOBODY, hang: NOBODY },
  changes: {
    host: having({ host: 'other.example.com' }),
    port: having({ port: 3306 }),
    user: having({ user: 'other' }),
    region: having({ region: 'us-east-1' }),
    'access key': having({ access: { ...KEYS, accessKeyId: 'AKIAOTHER0000000' } }),
    'secret access key': having({ access: { ...KEYS, secretAccessKey: new Redacted('other') } }),
    'source of the credentials': having({ access: { kind: 'source', source: 'base' } }),
  },
  sameTokens: { timeout: having({ timeoutMs: 1, lockTimeMs: 2 }) },
});

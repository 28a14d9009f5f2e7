import type { SourceConfiguration, StaticSourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { itKeepsTheContract, type ContractBed } from '../fakes/contract/provider-contract.js';

const SOURCE: StaticSourceConfiguration = {
  name: 'legacy-key',
  provider: 'static',
  value: new Redacted('a pass phrase: canary-3b'),
  tokenType: 'password',
  username: 'app',
  lifetimeMs: 86_400_000,
  scopes: [],
  timeoutMs: 1_000,
  lockTimeMs: 3_000,
  refresh: { ahead: { kind: 'off' }, keepWarm: false },
  quota: [],
};

const having =
  (change: Partial<StaticSourceConfiguration>) =>
  (source: SourceConfiguration): SourceConfiguration => ({ ...(source as StaticSourceConfiguration), ...change });

const NOBODY = 'nobody is called';

itKeepsTheContract('static', {
  start: (): Promise<ContractBed> =>
    Promise.resolve({ source: SOURCE, will: () => undefined, calls: () => 0, takenBack: [] }),
  tokenType: 'password',
  username: 'app',
  never: { issue: NOBODY, deny: NOBODY, throttle: NOBODY, break: NOBODY, babble: NOBODY, hang: NOBODY },
  changes: {
    value: having({ value: new Redacted('another') }),
    type: having({ tokenType: 'Bearer' }),
    'user name': having({ username: 'other' }),
  },
  sameTokens: { lifetime: having({ lifetimeMs: 60_000 }) },
});

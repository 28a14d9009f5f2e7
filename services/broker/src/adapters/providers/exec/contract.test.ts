import type { ExecSourceConfiguration, SourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { openExecBed, printing } from '../fakes/exec-program.js';
import { itKeepsTheContract, type Behaviour, type ContractBed } from '../fakes/contract/provider-contract.js';

type Output = ExecSourceConfiguration['output'];

function start(output: Output): Promise<ContractBed> {
  const bed = openExecBed({ output });
  bed.does(printing(output, 3_600_000));
  return Promise.resolve({
    source: bed.source,
    takenBack: [],
    calls: () => bed.runs(),
    will: (behaviour) => {
      bed.does(scriptOf(behaviour, output));
    },
  });
}

function scriptOf(behaviour: Behaviour, output: Output): string {
  const complain = 'process.stderr.write("it said: " + process.env.KEY + "\\n");';
  switch (behaviour.does) {
    case 'issue':
      return printing(output, behaviour.lifeMs ?? 3_600_000);
    case 'deny':
      return `${complain} process.exitCode = 77;`;
    case 'throttle':
      return `${complain} process.exitCode = 75;`;
    case 'break':
      return `${complain} process.kill(process.pid, 'SIGKILL'); setInterval(() => undefined, 1_000);`;
    case 'babble':
      return `${complain} print({ token: process.env.KEY });`;
    case 'hang':
      return 'setInterval(() => undefined, 1_000);';
  }
}

const having =
  (change: Partial<ExecSourceConfiguration>) =>
  (source: SourceConfiguration): SourceConfiguration => ({ ...(source as ExecSourceConfiguration), ...change });

const settings = {
  // An exit code says nothing of time.
  namesPause: false,
  changes: {
    command: having({ command: '/bin/other' }),
    arguments: having({ args: ['other'] }),
    'arguments that look alike when joined': having({ args: ['a b'] }),
    'variable of its environment': having({ env: new Map([['KEY', new Redacted('other')]]) }),
    output: (source: SourceConfiguration) =>
      having({
        output:
          (source as ExecSourceConfiguration).output === 'exec-credential' ? 'credential-process' : 'exec-credential',
      })(source),
  },
  sameTokens: {
    timeout: having({ timeoutMs: 1, lockTimeMs: 2 }),
    'bound of lives': having({ maxLifetimeMs: 60_000 }),
  },
};

itKeepsTheContract('exec, with an ExecCredential of Kubernetes', {
  ...settings,
  start: () => start('exec-credential'),
  tokenType: 'Bearer',
});

itKeepsTheContract('exec, with a credential_process of AWS', {
  ...settings,
  start: () => start('credential-process'),
  tokenType: 'aws-credentials',
});

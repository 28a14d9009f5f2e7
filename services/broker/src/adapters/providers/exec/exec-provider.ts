import { err, ok, type Clock, type Result } from '@token-broker/foundation';
import type { ExecSourceConfiguration } from '@token-broker/configuration';
import type { IssuedToken, ProviderFailure, ProviderImplementation } from '../../../app/ports/provider.js';
import { readPrinted } from './printed-credential.js';
import { runProgram, type ProgramEnd } from './run-program.js';

/** Where the program finds what it runs itself. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Plugins of Kubernetes are told by this what is wanted, and that nobody can be asked for a password. */
const EXEC_INFO = JSON.stringify({
  apiVersion: 'client.authentication.k8s.io/v1',
  kind: 'ExecCredential',
  spec: { interactive: false },
});

/** What a program may say by its exit code (sysexits.h); any other is an outage of whatever it needs. */
const EX_TEMPFAIL = 75;
const EX_NOPERM = 77;

/** Runs a program for each credential. What it starts ends with the call. */
export function createExecProvider(
  source: ExecSourceConfiguration,
  { clock }: { clock: Clock },
): ProviderImplementation {
  const { command, args, output } = source;
  const env = {
    PATH,
    ...(output === 'exec-credential' ? { KUBERNETES_EXEC_INFO: EXEC_INFO } : {}),
    ...Object.fromEntries([...source.env].map(([name, value]) => [name, value.reveal()])),
  };
  return {
    fetch: async (_request, { signal }): Promise<Result<IssuedToken, ProviderFailure>> => {
      const end = await runProgram({ command, args, env, signal });
      if (end.kind !== 'exited' || end.code !== 0) return err(failureOf(end));
      const printed = readPrinted(end.output, { source, wallMs: clock.wallMs() });
      if (typeof printed !== 'string') return ok(printed);
      return err({
        code: 'IDP_PROTOCOL',
        message: `what the program printed is refused: ${printed}`,
        detail: end.said,
      });
    },
  };
}

function failureOf(end: ProgramEnd): ProviderFailure {
  switch (end.kind) {
    case 'not-started':
      return { code: 'IDP_UNAVAILABLE', message: 'the program could not be started', detail: end.why };
    case 'killed':
      return {
        code: 'IDP_UNAVAILABLE',
        message: 'the program was ended by a signal',
        detail: `${end.by}; ${end.said}`,
      };
    case 'too-much':
      return { code: 'IDP_PROTOCOL', message: 'the program prints too much', detail: 'it was ended' };
    case 'exited': {
      const exited = `exit code ${String(end.code)}`;
      const detail = `${exited}; ${end.said}`;
      if (end.code === EX_NOPERM) return { code: 'IDP_DENIED', message: `the program was denied (${exited})`, detail };
      if (end.code === EX_TEMPFAIL)
        return { code: 'QUOTA_EXHAUSTED', message: `the program wants to be run less often (${exited})`, detail };
      return { code: 'IDP_UNAVAILABLE', message: `the program failed (${exited})`, detail };
    }
  }
}

import { parseArgs } from 'node:util';
import { SeededRandom } from '@token-broker/testing';
import { soak, type SoakReport } from './soak.js';

/**
 * Soaks a deployment on real servers and processes of this machine:
 *
 *   npm run soak -- [--seconds 120] [--seed 1] [--json]
 *
 * Three replicas are killed, ended and stopped at random under load, and tokens are revoked. Progress goes to standard
 * error, the result to standard output. Exit code 1: something did not hold that must.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const seed = values.seed === undefined ? new SeededRandom().seed : Number(values.seed);
process.stderr.write(`seed ${String(seed)}\n`);
const report = await soak({
  seconds: Number(values.seconds),
  seed,
  progress: (text) => process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${text}` : `${text}\n`),
});
if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
console.log(values.json ? JSON.stringify(report) : summary(report));
// What a library may have left open must not keep this process: everything that was started has been stopped.
process.exit(report.verdict.violations.length > 0 ? 1 : 0);

function summary({ seconds, tokenLifeSeconds, disturbances, revocations, callers, verdict }: SoakReport): string {
  const { SIGKILL, SIGTERM, SIGSTOP } = disturbances;
  const { idpCalls, idealIdpCalls, violations } = verdict;
  const errors = Object.entries(callers.errors).map(([code, count]) => `${String(count)} ${code}`);
  const sentences = [
    `${String(seconds)} s with ${String(SIGKILL)} replicas killed, ${String(SIGTERM)} ended, ${String(SIGSTOP)} stopped, and ${String(revocations)} revocations (seed ${String(seed)})`,
    `${String(callers.calls)} calls, errors: ${errors.join(', ') || 'none'}, the longest ${String(callers.longestMs)} ms`,
    `${String(idpCalls)} calls of the identity provider where ${String(idealIdpCalls)} are ideal (tokens of ${String(tokenLifeSeconds)} s): ${(idpCalls / idealIdpCalls).toFixed(2)}`,
    `the least life that was handed out ${String(callers.leastRemainingMs)} ms, the longest use of a revoked token ${String(verdict.servedAfterRevocationMs)} ms after its revocation had returned`,
    violations.length === 0 ? 'everything held' : `DID NOT HOLD: ${violations.join('; ')}`,
  ];
  return sentences.join('\n');
}

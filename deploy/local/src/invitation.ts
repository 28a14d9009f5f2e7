import { join } from 'node:path';
import { tokenctlProgram } from './programs.js';
import type { Report } from './report.js';
import { writePrivately } from './secrets.js';
import type { Stack } from './stack.js';

const TRAFFIC_EVERY_MS = 1_000;

/** Leaves the system running with a little traffic, and says what can be tried. */
export async function invite(stack: Stack, report: Report): Promise<void> {
  await writePrivately(stack.directory, { 'operator/tokenctl': wrapperOf(stack.operatorEnvironment) });
  await Promise.all(stack.services.map((service) => service.ask('traffic', { everyMs: TRAFFIC_EVERY_MS })));

  report.say();
  report.say('The system stays up; each service calls once a second. In another terminal:');
  report.say();
  report.say(`  alias tokenctl='sh ${join(stack.directory, 'operator', 'tokenctl')}'`);
  report.say('  tokenctl status');
  report.say('  tokenctl slots');
  report.say('  tokenctl revoke --source payments-api --wait --reason "a try"');
  report.say();
  report.say('Metrics of the brokers, and the OpenID provider’s own counter:');
  report.say();
  for (const { httpUrl } of stack.brokers) report.say(`  ${httpUrl}/metrics`);
  report.say(`  ${stack.identityProvider.issuer}/counts`);
  report.say();
  report.say(`The brokers’ configuration: ${join(stack.directory, 'broker', 'broker.yaml')}`);
  report.say();
  report.say('Ctrl-C stops everything.');
}

/** A shell script, so that one line makes `tokenctl` speak for the operator of this system, wherever it is typed. */
function wrapperOf(environment: Readonly<Record<string, string>>): string {
  return [
    '#!/bin/sh',
    ...Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}`),
    `exec ${quoted(process.execPath)} ${quoted(tokenctlProgram())} "$@"`,
    '',
  ].join('\n');
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

import { join } from 'node:path';
import type { Report } from './report.js';
import { writePrivately } from './secrets.js';
import type { Stack } from './stack.js';

const TRAFFIC_EVERY_MS = 1_000;

/** Leaves the system running with a little traffic, and says what can be tried. */
export async function invite(stack: Stack, report: Report): Promise<void> {
  const lines = Object.entries(stack.operatorEnvironment).map(([name, value]) => `export ${name}=${quoted(value)}`);
  await writePrivately(stack.directory, { 'operator/tokenctl.env': `${lines.join('\n')}\n` });
  await Promise.all(stack.services.map((service) => service.ask('traffic', { everyMs: TRAFFIC_EVERY_MS })));

  report.say();
  report.say('The system stays up; each service calls once a second. In another terminal, in this folder:');
  report.say();
  report.say(`  . ${join(stack.directory, 'operator', 'tokenctl.env')}`);
  report.say('  npx tokenctl status');
  report.say('  npx tokenctl list');
  report.say('  npx tokenctl revoke --source payments-api --wait');
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

function quoted(value: string): string {
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

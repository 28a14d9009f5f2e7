import { fileURLToPath } from 'node:url';
import { headers } from 'nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { subjects } from '../integration/raw-caller.js';
import { startStack, type Stack } from '../integration/stack.js';
import { startBrokerProcess } from './broker-process.js';

/** The file that docs/operations.md shows. */
const EXAMPLE = fileURLToPath(new URL('../../deploy/traces.mjs', import.meta.url));
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ brokers: 0 });
});
afterAll(() => stack.stop());

it('gives its spans to the SDK that is loaded before it, and the last of them when it ends', async () => {
  const { program } = await startBrokerProcess(stack.configurationPath, {
    nodeArgs: ['--import', EXAMPLE],
    env: { OTEL_TRACES_EXPORTER: 'console', OTEL_SERVICE_NAME: 'broker-of-a-test' },
  });
  const given = headers();
  given.set('traceparent', `00-${TRACE_ID}-00f067aa0ba902b7-01`);
  const connection = await stack.connectAs('orders');
  const subject = subjects.get('orders', 'payments-api');
  const reply = await connection.request(subject, '', { headers: given, timeout: 10_000 });
  expect(JSON.parse(reply.string())).toHaveProperty('accessToken');
  expect((await program.stop()).code).toBe(0);
  const printed = program.stdout.join('\n');
  for (const name of ['get', 'flight', 'idp call']) expect(printed).toContain(`name: 'token-broker ${name}'`);
  expect(printed).toContain(`traceId: '${TRACE_ID}'`);
  expect(printed).toContain("'service.name': 'broker-of-a-test'");
}, 60_000);

it('begins and serves without an SDK, as ever', async () => {
  const { program } = await startBrokerProcess(stack.configurationPath);
  expect((await program.stop()).code).toBe(0);
  expect(program.stdout.join('\n')).not.toContain('"msg":"traces:');
}, 60_000);

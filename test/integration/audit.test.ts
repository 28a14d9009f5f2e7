import { lstat, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auditRecordSchema, type AuditRecord } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRawCaller, subjects } from './raw-caller.js';
import { SecretSearch } from './spellings.js';
import { CLIENT_SECRET, metricValue, PASSWORD, startStack, type Settings, type Stack } from './stack.js';
import { startTokenctl, tokenctl, tokenctlAs } from './tokenctl.js';

const OPERATOR_TOKEN = `canary-operator-${'0123456789'.repeat(3)}`;
const SOURCE = 'payments-api';
/** Every token that the identity provider has given out. */
const tokens: string[] = [];

let folder = '';
let path = '';
let stack: Stack;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'token-broker-audit-'));
  path = join(folder, 'audit.jsonl');
  stack = await startStack({
    brokers: 1,
    tokenTransform: (accessToken) => {
      tokens.push(`canary-${accessToken}`);
      return `canary-${accessToken}`;
    },
    configure: (settings) => ({
      ...settings,
      audit: { file: path },
      http: {
        ...(settings['http'] as Settings),
        admin: { listen: '127.0.0.1:0', tokens: [{ caller: 'ops', token: OPERATOR_TOKEN }] },
      },
    }),
  });
});
afterAll(async () => {
  await stack.stop();
  await rm(folder, { recursive: true });
});

async function recordsIn(file = path): Promise<AuditRecord[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => auditRecordSchema.parse(JSON.parse(line)));
}

async function recordOf(event: string, by: string): Promise<AuditRecord> {
  return eventually(async () => (await recordsIn()).find((record) => record.event === event && record.by === by), {
    what: `the record ${event} of ${by}`,
  });
}

const revokeOf = (reason: string): string[] => ['revoke', '--source', SOURCE, '--reason', reason, '--yes', '--json'];

describe('the audit trail of a whole scenario', () => {
  it('tells who did what, of what, why, and how it ended', async () => {
    const orders = createRawCaller(await stack.connectAs('orders'), 'orders');
    const token = await orders.token(subjects.get('orders', SOURCE));
    // A revocation with the word of everybody, one by another way, one that is not allowed, and one that hits nothing.
    const revoked = await tokenctl(stack, [...revokeOf('leaked in a log'), '--wait']);
    expect(JSON.parse(revoked.out)).toMatchObject({ complete: true, audited: true });
    const door = stack.brokers[0]?.admin;
    const reply = await fetch(`http://127.0.0.1:${String(door?.port)}/v1/admin/revoke`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${OPERATOR_TOKEN}`,
        'content-type': 'application/json',
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      },
      body: JSON.stringify({ selector: { all: true }, reason: 'an employee has left' }),
    });
    expect(reply.status).toBe(200);
    await fetch(`http://127.0.0.1:${String(door?.port)}/v1/admin/${token.accessToken}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token.accessToken}` },
    });
    await stack.changeNatsUsers((users) =>
      users.map((user) => (user.user === 'billing' ? { user: 'billing', password: PASSWORD } : user)),
    );
    expect((await tokenctlAs('billing', stack, revokeOf('a try'))).code).toBe(4);
    const billing = await stack.connectAs('billing');
    billing.publish(subjects.get('billing', SOURCE), '', { reply: '_INBOX.orders.forged' });
    await stack.rewrite((settings) => ({ ...settings, log: { level: 'debug' } }));
    expect((await tokenctl(stack, ['reload', '--reason', 'look closer'])).code).toBe(0);

    const [ordered, ended] = [await recordOf('revocation.ordered', 'ops'), await recordOf('revocation.ended', 'ops')];
    const about = { by: 'ops', source: SOURCE, selector: `source:${SOURCE}`, revocation: ordered.revocation };
    expect(ordered).toMatchObject({ ...about, reason: 'leaked in a log' });
    expect(ended).toMatchObject({ ...about, result: 'done', facts: { broadcast: true, brokers: 1 } });
    const byTrace = (await recordsIn()).filter(({ traceId }) => traceId === '4bf92f3577b34da6a3ce929d0e0e4736');
    expect(byTrace.map(({ event, selector }) => [event, selector])).toEqual([
      ['revocation.ordered', 'all'],
      ['revocation.ended', 'all'],
    ]);
    expect(await recordOf('admin.refused', 'billing')).toMatchObject({
      result: 'refused',
      facts: { operation: 'revoke' },
    });
    expect(await recordOf('reply-subject.forged', 'billing')).toMatchObject({
      facts: { lastReply: '_INBOX.orders.forged' },
    });
    expect(await recordOf('http.refused', '127.0.0.1')).toMatchObject({ facts: { attempts: 1 } });
    expect(await recordOf('configuration.reload', 'ops')).toMatchObject({ reason: 'look closer', result: 'done' });
    expect(await recordOf('configuration.in-force', 'configuration')).toMatchObject({ result: 'done' });
    expect((await lstat(path)).mode & 0o777).toBe(0o600);
    expect(
      metricValue(await stack.metrics(), 'token_broker_audit_records_total', { outcome: 'written' }),
    ).toBeGreaterThan(7);
  }, 60_000);

  it('holds no token and no secret, whoever has sent one as what', async () => {
    expect(tokens.length).toBeGreaterThan(0);
    const search = new SecretSearch([...tokens, CLIENT_SECRET, PASSWORD, OPERATOR_TOKEN]);
    expect(search.in(await readFile(path))).toEqual([]);
  });

  it('is read by tokenctl, from the file', async () => {
    const { code, out } = await tokenctl(stack, ['audit', '--file', path, '--event', 'revocation', '--since', '1h']);
    expect(code).toBe(0);
    expect(out.split('\n')[0]).toMatch(/revocation\.ordered +ops source:payments-api "leaked in a log" revocation=/);
  });

  it('goes on in a new file after the old one was moved away, and so does who follows it', async () => {
    const follower = startTokenctl('ops', stack, ['audit', '--file', path, '--follow', '--event', 'revocation']);
    await follower.waitForLine(/leaked in a log/);
    await rename(path, `${path}.1`);
    expect((await tokenctl(stack, revokeOf('after the rotation'))).code).toBe(0);
    expect((await recordsIn()).map(({ event, reason }) => [event, reason])).toEqual([
      ['revocation.ordered', 'after the rotation'],
      ['revocation.ended', undefined],
    ]);
    await follower.waitForLine(/after the rotation/);
    await follower.stop();
  }, 60_000);
});

import { Redacted } from '@token-broker/foundation';
import { describe, expect, it } from 'vitest';
import { formatProblems, natsPermissions, parseConfiguration, renderNatsAuthorization } from './index.js';

async function permissionsOf(nats: string) {
  const text = [
    `nats: { servers: [a], ${nats} }`,
    'redis: { url: "redis://a" }',
    `encryption: { keys: [{ id: k, secret: "${'0f'.repeat(32)}" }] }`,
    'sources:',
    '  payments: &source { provider: oauth2, issuer: "https://idp", clientId: c, clientSecret: s }',
    '  ledger: *source',
    'callers:',
    '  orders: { sources: [payments, ledger] }',
    '  ops: { sources: ["*", payments], admin: true }',
    '  auditor: { admin: true }',
  ].join('\n');
  const parsed = await parseConfiguration(text, { env: {} });
  if (!parsed.ok) throw new Error(formatProblems(parsed.error.problems, 'test'));
  return natsPermissions(parsed.value.configuration);
}

const TWO_IDENTITIES = 'user: b1, password: p, events: { user: e1, password: p }';

describe('NATS permissions', () => {
  it('lets a caller ask for its own sources in its own name, and hear of them', async () => {
    const users = await permissionsOf(TWO_IDENTITIES);
    expect(users.find(({ user }) => user === 'orders')).toEqual({
      user: 'orders',
      publish: [
        'token-broker.v1.get.orders.payments',
        'token-broker.v1.rejected.orders.payments',
        'token-broker.v1.get.orders.ledger',
        'token-broker.v1.rejected.orders.ledger',
        'token-broker.v1.sync.orders',
        'token-broker.v1.ack.orders',
      ],
      subscribe: [
        '_INBOX.orders.>',
        'token-broker.v1.event.payments.*',
        'token-broker.v1.event.ledger.*',
        'token-broker.v1.invalidation.*',
        'token-broker.v1.heartbeat',
      ],
    });
  });

  it('gives wildcards and the admin door only where the configuration does', async () => {
    const users = await permissionsOf(TWO_IDENTITIES);
    expect(users.find(({ user }) => user === 'ops')).toMatchObject({
      publish: [
        'token-broker.v1.get.ops.*',
        'token-broker.v1.rejected.ops.*',
        'token-broker.v1.sync.ops',
        'token-broker.v1.ack.ops',
        'token-broker.v1.admin.ops.*',
      ],
      subscribe: expect.arrayContaining(['token-broker.v1.event.*.*']) as unknown,
    });
    const auditor = users.find(({ user }) => user === 'auditor');
    expect(auditor?.publish.filter((subject) => /\.(get|rejected)\./.test(subject))).toEqual([]);
    expect(auditor?.subscribe.filter((subject) => subject.includes('.event.'))).toEqual([]);
  });

  it('lets no caller publish in another’s name, nor what only brokers say', async () => {
    const users = await permissionsOf(TWO_IDENTITIES);
    for (const { user, publish, subscribe } of users.slice(2)) {
      for (const subject of publish) {
        expect(subject.split('.')[3]).toBe(user);
        expect(subject).toMatch(/^token-broker\.v1\.(get|rejected|sync|ack|admin)\./);
      }
      expect(subscribe.filter((subject) => subject.startsWith('_INBOX'))).toEqual([`_INBOX.${user}.>`]);
    }
  });

  it('keeps the serving connection of the broker from publishing events, and the other from replying', async () => {
    const [serving, events] = await permissionsOf(`subjectPrefix: acme, ${TWO_IDENTITIES}`);
    expect(serving).toEqual({
      user: 'b1',
      publish: ['_INBOX.>'],
      subscribe: [
        'acme.v1.get.*.*',
        'acme.v1.rejected.*.*',
        'acme.v1.sync.*',
        'acme.v1.admin.*.*',
        '$SRV.>',
        '_INBOX.broker.>',
      ],
    });
    const said = ['event.*.*', 'invalidation.*', 'heartbeat', 'flight.*', 'peer.*'].map((rest) => `acme.v1.${rest}`);
    expect(events).toEqual({
      user: 'e1',
      publish: said,
      subscribe: [...said, 'acme.v1.ack.*', '_INBOX.broker-events.>'],
    });
  });

  it.each([
    ['one user for both connections', 'user: b1, password: p', ['b1']],
    ['the same user named twice', 'user: b1, password: p, events: { user: b1, password: p }', ['b1']],
    ['no credentials', 'subjectPrefix: token-broker', ['broker', 'broker-events']],
    ['credentials without a user name', 'token: t', ['broker']],
  ])('names the broker’s users: %s', async (_name, nats, expected) => {
    const users = (await permissionsOf(nats)).filter(({ user }) => !['orders', 'ops', 'auditor'].includes(user));
    expect(users.map(({ user }) => user)).toEqual(expected);
    // Together they may always do the same.
    expect(users.flatMap(({ publish }) => publish)).toEqual(
      (await permissionsOf(TWO_IDENTITIES)).slice(0, 2).flatMap(({ publish }) => publish),
    );
    expect(users.flatMap(({ subscribe }) => subscribe)).toEqual(
      (await permissionsOf(TWO_IDENTITIES)).slice(0, 2).flatMap(({ subscribe }) => subscribe),
    );
  });
});

describe('the authorization block of nats-server', () => {
  const users = [{ user: 'orders', publish: ['a.b', 'c'], subscribe: ['_INBOX.orders.>'] }];

  it('is printed in its configuration language', () => {
    expect(renderNatsAuthorization(users, new Map([['orders', new Redacted('p"\\$w')]]))).toBe(
      [
        'authorization {',
        '  users = [',
        '    {',
        '      user: "orders"',
        '      password: "p\\"\\\\$w"',
        '      permissions: {',
        '        publish: ["a.b", "c"]',
        '        subscribe: ["_INBOX.orders.>"]',
        '      }',
        '    }',
        '  ]',
        '}',
        '',
      ].join('\n'),
    );
  });

  it('is refused without a password, or with one that cannot be written', () => {
    expect(() => renderNatsAuthorization(users, new Map())).toThrow('no password for the NATS user orders');
    expect(() => renderNatsAuthorization(users, new Map([['orders', new Redacted('a\nb')]]))).toThrow(RangeError);
  });
});

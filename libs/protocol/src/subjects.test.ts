import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIdentifier } from './identifiers.js';
import { createSubjects, inboxPrefixOf } from './subjects.js';

const subjects = createSubjects();
const identifier = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);

describe('subjects', () => {
  it('are those of the contract', () => {
    const slot = 'wTr3vL0pQk9Zx2Yb7Nn8aA';
    expect([
      subjects.get('orders', 'payments-api'),
      subjects.rejected('orders', 'payments-api'),
      subjects.sync('orders'),
      subjects.admin('ops', 'revoke'),
      subjects.ack('orders'),
      subjects.event('payments-api', slot),
      subjects.invalidation(3),
      subjects.invalidation('all'),
      subjects.heartbeat(),
      subjects.flight(slot),
      subjects.peer('b1'),
      inboxPrefixOf('orders'),
    ]).toEqual([
      'token-broker.v1.get.orders.payments-api',
      'token-broker.v1.rejected.orders.payments-api',
      'token-broker.v1.sync.orders',
      'token-broker.v1.admin.ops.revoke',
      'token-broker.v1.ack.orders',
      `token-broker.v1.event.payments-api.${slot}`,
      'token-broker.v1.invalidation.3',
      'token-broker.v1.invalidation.all',
      'token-broker.v1.heartbeat',
      `token-broker.v1.flight.${slot}`,
      'token-broker.v1.peer.b1',
      '_INBOX.orders',
    ]);
  });

  it('are read as they were written, under any prefix', () => {
    fc.assert(
      fc.property(identifier, identifier, identifier, (prefix, caller, target) => {
        const own = createSubjects(prefix);
        expect(own.parse(own.get(caller, target))).toEqual({ verb: 'get', caller, source: target });
        expect(own.parse(own.rejected(caller, target))).toEqual({ verb: 'rejected', caller, source: target });
        expect(own.parse(own.admin(caller, target))).toEqual({ verb: 'admin', caller, operation: target });
        expect(own.parse(own.sync(caller))).toEqual({ verb: 'sync', caller });
        expect(own.parse(own.ack(caller))).toEqual({ verb: 'ack', caller });
      }),
    );
  });

  it.each([
    'token-broker.v1.get.orders',
    'token-broker.v1.get.orders.a.b',
    'token-broker.v1.sync.orders.more',
    'token-broker.v1.sync',
    'token-broker.v1.ack.orders.more',
    'token-broker.v1.heartbeat',
    'token-broker.v1.heartbeat.x.y',
    'token-broker.v1.event.s.slot',
    'token-broker.v1.GET.orders.s',
    'token-broker.v2.get.orders.s',
    'token-broker.v10.get.orders.s',
    'token-broker-v1.get.orders.s',
    'other.v1.get.orders.s',
    'token-broker.v1',
    'token-broker.v1.',
    '',
  ])('that are no requests lead nowhere: %j', (subject) => {
    expect(subjects.parse(subject)).toBeUndefined();
  });

  it('of one prefix are not read under another', () => {
    expect(createSubjects('other').parse(subjects.get('orders', 's'))).toBeUndefined();
  });
});

describe('isIdentifier', () => {
  it.each(['a', 'orders-2', 'A_b', '-', 'x'.repeat(64)])('takes %s', (text) => {
    expect(isIdentifier(text)).toBe(true);
  });

  it.each(['', 'a.b', '*', '>', 'a b', 'a\n', 'é', 'x'.repeat(65), 'a\0'])('refuses %j', (text) => {
    expect(isIdentifier(text)).toBe(false);
  });
});

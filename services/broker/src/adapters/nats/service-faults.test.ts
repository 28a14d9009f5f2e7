import { eventually, startNats } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { ask, OK, serviceBedOfFile, subjects, USERS } from './fakes/service-bed.js';

const { after, log, login, make, serve } = serviceBedOfFile();

describe('the service among faults', () => {
  it('is not connected before the server has taken its subscriptions', async () => {
    const own = await startNats({ users: USERS });
    after(() => own.stop());
    const { service, connection } = await make({}, own);
    await own.kill('SIGSTOP');
    const started = service.start(() => OK);
    // Everything that needs no answer of the server has been done by then.
    for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    expect([connection.isConnected(), service.isConnected()]).toEqual([true, false]);
    await own.kill('SIGCONT');
    await started;
    expect(service.isConnected()).toBe(true);
  });

  it('serves again after the NATS server has restarted', async () => {
    const own = await startNats({ users: USERS });
    after(() => own.stop());
    const { service } = await serve(() => OK, {}, own);
    const orders = await login('orders', own);
    await own.restart();
    await eventually(() => service.isConnected(), { what: 'the service to be back', withinMs: 10_000 });
    await eventually(async () => (await ask(orders, subjects.get('orders', 'payments'))) === '{"v":1}', {
      what: 'an answer after the restart',
      withinMs: 15_000,
    });
  });

  it('says so when NATS refuses a subscription, and serves once the permission is there', async () => {
    const refused = USERS.map((user) =>
      user.user === 'broker' ? { ...user, permissions: { publish: ['_INBOX.>'], subscribe: ['$SRV.>'] } } : user,
    );
    const own = await startNats({ users: refused });
    after(() => own.stop());
    const { service } = await serve(() => OK, {}, own);
    await eventually(() => log.lines.some(({ message }) => message === 'NATS stopped the service'), {
      what: 'the alarm',
    });
    expect(service.isConnected()).toBe(false);
    await own.setUsers(USERS);
    const orders = await login('orders', own);
    await eventually(async () => (await ask(orders, subjects.get('orders', 'payments'))) === '{"v":1}', {
      what: 'an answer after the permission was granted',
      withinMs: 15_000,
    });
    expect(service.isConnected()).toBe(true);
  });
});

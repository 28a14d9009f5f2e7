import { eventually, startNats } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { ask, OK, serviceBedOfFile, subjects, USERS } from './fakes/service-bed.js';

const { after, log, login, serve } = serviceBedOfFile();

describe('the service among faults', () => {
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

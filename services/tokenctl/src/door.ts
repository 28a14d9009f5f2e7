import { createTokenBroker } from '@token-broker/client';
import { createOperator } from '@token-broker/client/operator';
import { createFixedTracing } from '@token-broker/client/tracing';
import type { Clock } from '@token-broker/foundation';
import type { ConnectionSettings } from './connection-settings.js';
import { connectNats, lostConnection } from './nats-connection.js';
import { hearBrokers, permissionProbe } from './nats-listening.js';
import type { Door } from './surroundings.js';

/** Connects to NATS and speaks to the brokers through the client library. */
export async function openDoor(settings: ConnectionSettings, clock: Clock): Promise<Door> {
  const { caller, subjectPrefix, timeoutMs, trace } = settings;
  const connection = await connectNats(settings, clock);
  const shared = {
    connection,
    caller,
    requestTimeoutMs: timeoutMs,
    clock,
    ...(subjectPrefix === undefined ? {} : { subjectPrefix }),
    ...(trace === undefined ? {} : { tracing: createFixedTracing(trace) }),
  };
  let leaving = false;
  // The driver gives up for good when credentials are withdrawn; a request would only notice at its deadline.
  const lost = connection.closed().then((reason) => {
    if (leaving) return new Promise<never>(() => undefined);
    throw lostConnection(settings, reason);
  });
  lost.catch(() => undefined);
  const whileConnected = <T>(work: Promise<T>): Promise<T> => Promise.race([work, lost]);
  const operator = createOperator(shared);
  const probe = permissionProbe(connection);
  return {
    hear: (listener) => hearBrokers(connection, subjectPrefix, listener, lost),
    mayHear: (subject) => whileConnected(probe.mayHear(subject)),
    mayPublish: (subject) => whileConnected(probe.mayPublish(subject)),
    operator: {
      revoke: (request) => whileConnected(operator.revoke(request)),
      pause: (request) => whileConnected(operator.pause(request)),
      resume: (request) => whileConnected(operator.resume(request)),
      list: (request) => whileConnected(operator.list(request)),
      status: () => whileConnected(operator.status()),
      describe: (request) => whileConnected(operator.describe(request)),
      refresh: (request) => whileConnected(operator.refresh(request)),
      reload: (request) => whileConnected(operator.reload(request)),
      setRefreshToken: (request) => whileConnected(operator.setRefreshToken(request)),
    },
    async get(source, parameters, minTtlMs) {
      // A near cache for one token: nothing is fetched again once it has been printed.
      const broker = createTokenBroker({ ...shared, refetchOnRevoke: false });
      try {
        const wish = { timeoutMs, ...(minTtlMs === undefined ? {} : { minTtlMs }) };
        return await whileConnected(broker.source(source, parameters).get(wish));
      } finally {
        await broker.close();
      }
    },
    async close() {
      leaving = true;
      operator.close();
      await connection.close();
    },
  };
}

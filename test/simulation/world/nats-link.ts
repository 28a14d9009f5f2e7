import type { NatsLink } from '@token-broker/broker/simulation';
import type { SimulatedConnection } from '@token-broker/testing';

/** The broker's link over a simulated connection of the driver: the adapters to NATS above it are the real ones. */
export function natsLinkOf(connection: SimulatedConnection): NatsLink {
  const handlers: ((connected: boolean) => void)[] = [];
  const watch = async (): Promise<void> => {
    for await (const { type } of connection.status()) {
      if (type !== 'disconnect' && type !== 'reconnect') continue;
      for (const handle of handlers) handle(type === 'reconnect');
    }
  };
  void watch();
  return {
    isConnected: () => connection.isConnected,
    onConnectionChange: (handle) => void handlers.push(handle),
    current: () => driverOf(connection),
    eachConnection(attach) {
      attach(driverOf(connection));
      return () => undefined;
    },
    close: () => connection.close(),
  };
}

type Driver = NonNullable<ReturnType<NatsLink['current']>>;

/** It has what the adapters use of the driver's connection, and nothing else of it. */
function driverOf(connection: SimulatedConnection): Driver {
  return connection as unknown as Driver;
}

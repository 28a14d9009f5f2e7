import { createTokenBroker } from '@token-broker/client';
import { createSystemClock, delay } from '@token-broker/foundation';
import { connect } from 'nats';
import { machineMs, wallClockMoved } from './machine-time.js';
import type { ServiceLine, ServiceSettings } from './service-process.js';

/**
 * A service as a process of its own, whose wall clock is wrong: it uses its token all the time, and prints what it was
 * given, and when by a clock that nobody moves. SIGUSR2 makes the wall clock jump; the monotonic one does not notice, as if
 * the machine had been suspended.
 */
const USE_EVERY_MS = 20;

const { url, caller, password, source, offByMs, jumpMs } = JSON.parse(process.argv[2] ?? '{}') as ServiceSettings;
const moveWallClock = wallClockMoved(offByMs);
process.on('SIGUSR2', () => {
  moveWallClock(jumpMs);
  print({ kind: 'jumped', beganAtMs: machineMs() });
});

const clock = createSystemClock();
const connection = await connect({ servers: url, user: caller, pass: password, inboxPrefix: `_INBOX.${caller}` });
const client = createTokenBroker({ connection, caller, clock });
const handle = client.source(source);
process.on('SIGTERM', () => process.exit(0));
for (;;) {
  const beganAtMs = machineMs();
  try {
    const { accessToken, generation, expiresInMs } = await handle.get();
    const { requests } = client.stats();
    print({ kind: 'used', beganAtMs, accessToken, generation, expiresInMs, requests });
  } catch (error) {
    print({ kind: 'refused', beganAtMs, reason: String(error) });
  }
  // The timer keeps no process alive, but the connection does.
  await delay(clock, USE_EVERY_MS);
}

function print(line: ServiceLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

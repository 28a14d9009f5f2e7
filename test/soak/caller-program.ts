import { createTokenBroker, TokenBrokerError, type Token } from '@token-broker/client';
import { createSystemClock, delay } from '@token-broker/foundation';
import { SeededRandom } from '@token-broker/testing';
import { connect } from 'nats';
import { issuedAtMs, type CallerLine, type CallerSettings, type HandedOut } from './caller-messages.js';

/**
 * Services in one process, each with a connection and a near cache of its own, that ask for tokens all the time. Checks
 * every token at the moment at which it is handed out; what has to be compared with revocations is reported at the end.
 */
const MOST_PAUSE_MS = 40;
const PROGRESS_EVERY_MS = 1_000;
/** Between the moment at which the client looked at its clock and the look of this program. */
const LOOK_SLACK_MS = 100;
/** A timer on a machine whose every core is busy. */
const DEADLINE_SLACK_MS = 1_000;

const settings = JSON.parse(process.argv[2] ?? '{}') as CallerSettings;
const { sources, lifeMs, minLifetimeMs, requestTimeoutMs } = settings;
const clock = createSystemClock();
const random = new SeededRandom(settings.seed);
const untilMs = clock.elapsedMs() + settings.runMs;

const errors: Record<string, number> = {};
const handedOut = new Map<string, HandedOut>();
const newest = new Map<string, Token>();
let calls = 0;
let failed = 0;
let longestMs = 0;
let late = 0;
let leastRemainingMs = Number.POSITIVE_INFINITY;
let belowMinimum = 0;
let stepsBack = 0;
let stopped = false;

const names = Array.from(
  { length: settings.clients },
  (_, index) => `client-${String(settings.seed)}-${String(index)}`,
);
const clients = await Promise.all(names.map((name) => startClient(name)));
print({ kind: 'started' });
const reporting = reportProgress();
await Promise.all(clients.map((ask) => askUntilTheEnd(ask)));
stopped = true;
await reporting;
print({
  kind: 'done',
  report: {
    calls,
    errors,
    longestMs: Math.round(longestMs),
    late,
    leastRemainingMs,
    belowMinimum,
    stepsBack,
    handedOut: [...handedOut.values()],
  },
});
// The connections are of no use any more, and what was printed has been handed to the system by the time of the exit.
process.stdout.write('', () => process.exit(0));

async function startClient(name: string): Promise<(source: string) => Promise<void>> {
  const { url, caller, password } = settings;
  const connection = await connect({
    servers: url,
    user: caller,
    pass: password,
    inboxPrefix: `_INBOX.${caller}`,
    maxReconnectAttempts: -1,
    pingInterval: 2_000,
    maxPingOut: 2,
  });
  const client = createTokenBroker({ connection, caller, instance: name, requestTimeoutMs });
  return async (source) => {
    const askedAtMs = clock.wallMs();
    const sinceMs = clock.elapsedMs();
    try {
      const token = await client.source(source).get();
      check(name, source, token, askedAtMs);
    } catch (error) {
      const code = error instanceof TokenBrokerError ? error.code : String(error);
      errors[code] = (errors[code] ?? 0) + 1;
      failed++;
    }
    calls++;
    const tookMs = clock.elapsedMs() - sinceMs;
    longestMs = Math.max(longestMs, tookMs);
    if (tookMs > requestTimeoutMs + DEADLINE_SLACK_MS) late++;
  };
}

function check(client: string, source: string, token: Token, askedAtMs: number): void {
  const remainingMs = issuedAtMs(token.accessToken) + lifeMs - clock.wallMs();
  leastRemainingMs = Math.min(leastRemainingMs, remainingMs);
  if (remainingMs < minLifetimeMs - LOOK_SLACK_MS) belowMinimum++;
  const { epoch, generation } = token;
  const place = `${client} ${source}`;
  const before = newest.get(place);
  const isOlder = before !== undefined && [epoch - before.epoch, generation - before.generation].find(Boolean);
  if (typeof isOlder === 'number' && isOlder < 0) stepsBack++;
  else newest.set(place, token);
  handedOut.set(`${place} ${String(epoch)} ${String(generation)}`, {
    client,
    source,
    epoch,
    generation,
    lastAskedAtMs: askedAtMs,
  });
}

async function askUntilTheEnd(ask: (source: string) => Promise<void>): Promise<void> {
  while (clock.elapsedMs() < untilMs) {
    await ask(sources[random.integer(sources.length)] ?? '');
    await delay(clock, random.integer(MOST_PAUSE_MS));
  }
}

async function reportProgress(): Promise<void> {
  while (!isOver()) {
    await delay(clock, PROGRESS_EVERY_MS);
    print({ kind: 'progress', calls, errors: failed });
  }
}

function isOver(): boolean {
  return stopped;
}

function print(line: CallerLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

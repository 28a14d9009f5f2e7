import { createTokenBroker, type SourceHandle, type TokenBroker } from '@token-broker/client';
import { connect, type NatsConnection } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { BARE_CALLER, BARE_PREFIX, BARE_SUBJECTS, PASSWORD } from '../stack/settings.js';

/** A service that wants more life than its tokens have left, so that every call is a request. */

const TIMEOUT_MS = 15_000;

let connection: NatsConnection | undefined;
let client: TokenBroker | undefined;
let handles: SourceHandle[] = [];
let minTtlMs = 0;
let body = new Uint8Array();

export interface Asked {
  readonly perSecond: number;
  /** Processor time of this process, as a share of one core. */
  readonly clientCpu: number;
}

/** Keeps each of the callers asking, one call after the other. */
async function keepAsking(callers: readonly (() => Promise<unknown>)[], forMs: number): Promise<Asked> {
  const cpu = process.cpuUsage();
  const startedAtMs = performance.now();
  const untilMs = startedAtMs + forMs;
  let answered = 0;
  await Promise.all(
    callers.map(async (ask) => {
      while (performance.now() < untilMs) {
        await ask();
        answered++;
      }
    }),
  );
  return askedSince(startedAtMs, cpu, answered);
}

function askedSince(startedAtMs: number, before: NodeJS.CpuUsage, answered: number): Asked {
  const tookMs = performance.now() - startedAtMs;
  const { user, system } = process.cpuUsage(before);
  return { perSecond: answered / (tookMs / 1_000), clientCpu: (user + system) / 1_000 / tookMs };
}

const methods = {
  async open(settings: { url: string; sources: readonly string[]; minTtlMs: number }) {
    const user = BARE_CALLER;
    connection = await connect({ servers: settings.url, user, pass: PASSWORD, inboxPrefix: `_INBOX.${user}` });
    const broker = createTokenBroker({ connection, caller: user, subjectPrefix: BARE_PREFIX });
    client = broker;
    ({ minTtlMs } = settings);
    body = Buffer.from(JSON.stringify({ minTtlMs }));
    handles = settings.sources.map((source) => broker.source(source));
  },
  async throughClient({ inFlight, forMs }: { inFlight: number; forMs: number }) {
    const wish = { minTtlMs };
    const requestsBefore = client?.stats().requests ?? 0;
    let calls = 0;
    const callers = handles.slice(0, inFlight).map((handle) => () => {
      calls++;
      return handle.get(wish);
    });
    const asked = await keepAsking(callers, forMs);
    const requests = (client?.stats().requests ?? 0) - requestsBefore;
    if (requests !== calls) throw new Error(`${String(calls)} calls made ${String(requests)} requests`);
    return asked;
  },
  throughRequest({ inFlight, forMs }: { inFlight: number; forMs: number }) {
    const options = { timeout: TIMEOUT_MS };
    const callers = handles.slice(0, inFlight).map(({ source }) => {
      const subject = `${BARE_SUBJECTS}.get.${BARE_CALLER}.${source}`;
      return async () => connection?.request(subject, body, options);
    });
    return keepAsking(callers, forMs);
  },
  /** The least that any client of this connection could do: a publish for each message, with nothing in between. */
  async throughBareLoop({ inFlight, forMs }: { inFlight: number; forMs: number }) {
    if (connection === undefined) throw new Error('not connected');
    const bare = connection;
    const inbox = `_INBOX.${BARE_CALLER}.loop`;
    const subjects = handles.slice(0, inFlight).map(({ source }) => `${BARE_SUBJECTS}.get.${BARE_CALLER}.${source}`);
    const publish = (index: number): void => {
      bare.publish(subjects[index] ?? '', body, { reply: `${inbox}.${String(index)}` });
    };
    const cpu = process.cpuUsage();
    const startedAtMs = performance.now();
    let answered = 0;
    let left = inFlight;
    await new Promise<void>((resolve) => {
      const subscription = bare.subscribe(`${inbox}.*`, {
        callback: (_error, { subject }) => {
          answered++;
          if (performance.now() < startedAtMs + forMs) publish(Number(subject.slice(inbox.length + 1)));
          else if (--left === 0) {
            subscription.unsubscribe();
            resolve();
          }
        },
      });
      for (let index = 0; index < inFlight; index++) publish(index);
    });
    return askedSince(startedAtMs, cpu, answered);
  },
};
export type MissingServiceMethods = typeof methods;
serveMethods(methods);

import { fileURLToPath } from 'node:url';
import { LocalError } from './local-error.js';
import { startLocalProcess, type LocalProcess } from './local-process.js';
import type { SampleServiceName } from './participants.js';
import type { ProcessGuard } from './process-guard.js';
import type { SampleCommand, SampleMessage, SampleResults } from './sample-messages.js';

const READY_LIMIT_MS = 15_000;
const ANSWER_LIMIT_MS = 30_000;

/** What happened in a near cache, by the machine's clock. */
export interface NearCacheEvent {
  readonly kind: 'dropped' | 'renewed';
  readonly atMs: number;
  /** Of the new token. */
  readonly fingerprint?: string;
}

/** A sample microservice, seen from the process that started it. */
export interface SampleProcess {
  readonly name: SampleServiceName;
  readonly process: LocalProcess;
  /** @throws {LocalError} where it ends, or has no answer within 30 s */
  ask<C extends keyof SampleResults>(
    command: C,
    ...[parameters]: ParametersOf<C> extends never ? [] : [ParametersOf<C>]
  ): Promise<SampleResults[C]>;
  /** What has happened since the last call of `clearEvents`. */
  readonly events: readonly NearCacheEvent[];
  clearEvents(): void;
}

type CommandOf<C> = Extract<SampleCommand, { command: C }>;
type ParametersOf<C> = keyof Omit<CommandOf<C>, 'command'> extends never ? never : Omit<CommandOf<C>, 'command'>;

export interface SampleProcessOptions {
  readonly name: SampleServiceName;
  readonly natsUrl: string;
  readonly passwordFile: string;
  readonly guard: ProcessGuard;
  readonly adopt: (process: LocalProcess) => void;
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

/** Starts the process and resolves when a broker has answered it. */
export async function startSampleProcess(options: SampleProcessOptions): Promise<SampleProcess> {
  const { name } = options;
  const answers = new Map<number, (message: { readonly result: unknown } | { readonly error: string }) => void>();
  const events: NearCacheEvent[] = [];
  let lastId = 0;

  const process = startLocalProcess({
    name: `service ${name}`,
    path: fileURLToPath(new URL('./sample-service.js', import.meta.url)),
    env: { NATS_URL: options.natsUrl, NATS_USER: name, NATS_PASSWORD_FILE: options.passwordFile },
    guard: options.guard,
    adopt: options.adopt,
    onLine(line, stream) {
      options.onLine?.(line, stream);
      const message = stream === 'stdout' ? readMessage(line) : undefined;
      if (message === undefined) return;
      if ('id' in message) {
        answers.get(message.id)?.(message);
        answers.delete(message.id);
      } else if (message.event === 'dropped') events.push({ kind: 'dropped', atMs: message.atMs });
      else if (message.event === 'renewed') {
        events.push({ kind: 'renewed', atMs: message.atMs, fingerprint: message.fingerprint });
      }
      if (events.length > MAX_EVENTS) events.shift();
    },
  });
  await process.waitFor(
    `service ${name} to hear from a broker`,
    (line) => {
      const message = readMessage(line);
      return message !== undefined && 'event' in message && message.event === 'ready' ? true : undefined;
    },
    READY_LIMIT_MS,
  );

  const ask = (command: string, parameters: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      const fail = (why: string): void => {
        clearTimeout(timer);
        answers.delete(id);
        const next = 'Its last lines are below.';
        reject(new LocalError(`service ${name} did not do "${command}"`, { why, next, lines: process.lastLines() }));
      };
      const timer = setTimeout(() => {
        fail(`it had no answer within ${String(ANSWER_LIMIT_MS / 1_000)} s`);
      }, ANSWER_LIMIT_MS);
      void process.exited.then(() => {
        fail('the process has ended');
      });
      answers.set(id, (message) => {
        clearTimeout(timer);
        if ('error' in message) fail(message.error);
        else resolve(message.result);
      });
      process.send(JSON.stringify({ id, command, ...parameters }));
    });

  return {
    name,
    process,
    // The other end is a file of this package, compiled against the same types.
    ask: (command, ...[parameters]) => ask(command, parameters ?? {}) as Promise<SampleResults[typeof command]>,
    events,
    clearEvents() {
      events.length = 0;
    },
  };
}

const MAX_EVENTS = 1_000;

function readMessage(line: string): SampleMessage | undefined {
  try {
    return JSON.parse(line) as SampleMessage;
  } catch {
    return undefined;
  }
}

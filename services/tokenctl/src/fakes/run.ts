import { systemRandom, type Clock } from '@token-broker/foundation';
import type { SourceOptions, Token } from '@token-broker/client';
import type { RevocationOrder } from '@token-broker/client/operator';
import {
  failure,
  TokenBrokerError,
  type AuditRecord,
  type DescribeReply,
  type DescribeRequest,
  type ErrorCode,
  type ListReply,
  type PauseReply,
  type RefreshReply,
  type RefreshRequest,
  type ReloadReply,
  type RevokeReply,
  type SetRefreshTokenReply,
  type StatusReply,
} from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import type { ConnectionSettings } from '../connection-settings.js';
import type { HttpSettings } from '../http-settings.js';
import { runTokenctl } from '../program.js';
import type { Door, Listener, NetworkAddress } from '../surroundings.js';

export const SLOT = 'abcdefghijklmnopqrstuv';
export const TOKEN = 'secret-access-token';
/** 2026-11-05 12:34:56.789 UTC, in microseconds. */
export const GENERATION = Date.UTC(2026, 10, 5, 12, 34, 56, 789) * 1_000;

export const REVOKED: RevokeReply = {
  v: 1,
  id: 'revocation-1',
  dryRun: false,
  slots: 12,
  nearCaches: 3,
  durable: true,
  broadcast: true,
  complete: true,
  brokers: { expected: 2, acked: 2 },
  tookMs: 42,
};

/** Since 2026-11-05 12:34:56.789 UTC. */
export const PAUSED: PauseReply = {
  v: 1,
  source: 'payments',
  paused: true,
  changed: true,
  sinceMs: GENERATION / 1_000,
};

export const STATUS: StatusReply = {
  v: 1,
  broker: 'broker-1',
  version: '0.1.0',
  uptimeMs: 3_720_000,
  ready: true,
  nats: { connected: true },
  redis: { available: false, leaseAgeMs: 1_500 },
  brokers: ['broker-1', 'broker-2'],
  partitions: [
    { epoch: 7, vseq: 2 },
    { epoch: 0, vseq: 0 },
  ],
  sources: [{ name: 'payments', provider: 'oauth2', heldSlots: 4, idpCalls: 5, idpErrors: 1, callsSaved: 99_000 }],
  nearCaches: [{ caller: 'orders', instance: 'a1', seenMs: 12_000 }],
};

export interface Given {
  readonly env?: Record<string, string>;
  readonly files?: Record<string, string>;
  /** `undefined`: nobody can be asked. */
  readonly answer?: boolean;
  readonly platform?: NodeJS.Platform;
  /** The number of this process; those that run are all that are given one. */
  readonly processId?: number;
  readonly running?: readonly number[];
  readonly isTTY?: boolean;
  readonly get?: () => Promise<Partial<Token>>;
  readonly revoke?: (request: RevocationOrder) => Promise<RevokeReply>;
  readonly pause?: () => Promise<PauseReply>;
  readonly resume?: () => Promise<PauseReply>;
  readonly list?: ListReply;
  readonly reload?: ReloadReply;
  /** The same each time, or one after the other. */
  readonly status?: StatusReply | (() => Promise<StatusReply>);
  readonly describe?: (request: DescribeRequest) => Promise<DescribeReply>;
  readonly refresh?: (request: RefreshRequest) => Promise<RefreshReply>;
  /** Plays the brokers and the NATS server for who listens. */
  readonly hear?: (listener: Listener) => void;
  /** Subjects that the NATS server denies. Default: what it should. */
  readonly denies?: (subject: string) => boolean;
  /** Permission bits of {@link Given.files}. Default: 0600. */
  readonly modes?: Record<string, number>;
  /** Why a server cannot be reached. Default: it can. */
  readonly unreachable?: (address: NetworkAddress) => string | undefined;
  /** When the person wants it to end. Default: never. */
  readonly interrupted?: Promise<void>;
  readonly setRefreshToken?: () => Promise<SetRefreshTokenReply>;
  /** What is on standard input, or typed. */
  readonly secret?: string;
  readonly openDoor?: () => Promise<Door>;
  readonly auditStream?: readonly AuditRecord[];
  readonly openHttpDoor?: (settings: HttpSettings) => Door;
  /** What is typed where a text is asked for. */
  readonly text?: string;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly settings: ConnectionSettings | undefined;
  readonly httpSettings: HttpSettings | undefined;
  readonly requests: readonly unknown[];
  readonly questions: readonly string[];
  readonly closed: number;
}

/** What is not for the user `ops`. */
function isForeign(subject: string): boolean {
  return subject.includes('.peer.') || subject.includes('tokenctl-doctor');
}

export const LOGIN = { TOKENCTL_USER: 'ops', TOKENCTL_PASSWORD: 'hidden-password' };

/** Runs the real program on made-up surroundings. */
export async function runOn(clock: Clock, args: readonly string[], given: Given = {}): Promise<Outcome> {
  let [stdout, stderr, closed] = ['', '', 0];
  let settings: ConnectionSettings | undefined;
  let httpSettings: HttpSettings | undefined;
  const requests: unknown[] = [];
  const questions: string[] = [];
  const door: Door = {
    operator: {
      revoke(request) {
        requests.push(request);
        return given.revoke?.(request) ?? Promise.resolve({ ...REVOKED, dryRun: request.dryRun === true });
      },
      pause(request) {
        requests.push({ pause: request });
        return given.pause?.() ?? Promise.resolve({ ...PAUSED, source: request.source });
      },
      resume(request) {
        requests.push({ resume: request });
        return given.resume?.() ?? Promise.resolve({ v: 1, source: request.source, paused: false, changed: true });
      },
      list(request) {
        requests.push(request);
        return Promise.resolve(given.list ?? { v: 1, slots: [], truncated: false });
      },
      status: () => (typeof given.status === 'function' ? given.status() : Promise.resolve(given.status ?? STATUS)),
      describe(request) {
        requests.push(request);
        return given.describe?.(request) ?? Promise.reject(new Error('nobody has said what describe answers'));
      },
      refresh(request) {
        requests.push(request);
        return given.refresh?.(request) ?? Promise.reject(new Error('nobody has said what refresh answers'));
      },
      reload: () => Promise.resolve(given.reload ?? { v: 1, outcome: 'reloaded', problems: [] }),
      setRefreshToken(request) {
        requests.push(request);
        const { source } = request;
        return (
          given.setRefreshToken?.() ?? Promise.resolve({ v: 1, source, sequence: 0, replicas: 2, replaced: false })
        );
      },
    },
    async get(source: string, parameters: SourceOptions, minTtlMs) {
      requests.push({ source, parameters, minTtlMs });
      const token = {
        accessToken: TOKEN,
        tokenType: 'bearer',
        scope: 'read',
        username: undefined,
        epoch: 1,
        generation: GENERATION,
        verified: true,
        expiresInMs: 60_000,
      };
      return { ...token, ...(await given.get?.()) };
    },
    hear(listener) {
      given.hear?.(listener);
      return {
        lost: new Promise<never>(() => undefined),
        addSource: (source) => void requests.push({ hears: source }),
        close: () => undefined,
      };
    },
    mayHear: (subject) => Promise.resolve(!(given.denies ?? isForeign)(subject)),
    mayPublish: (subject) => Promise.resolve(!(given.denies ?? isForeign)(subject)),
    close() {
      closed += 1;
      return Promise.resolve();
    },
  };
  const code = await runTokenctl(args, {
    stdout: { write: (text) => void (stdout += text), isTTY: given.isTTY === true },
    stderr: { write: (text) => void (stderr += text), isTTY: given.isTTY === true },
    env: given.env ?? LOGIN,
    interactive: given.answer !== undefined,
    platform: given.platform ?? 'linux',
    process: {
      id: given.processId ?? 1,
      host: 'this-machine',
      isRunning: (id) => (given.running ?? []).includes(id),
    },
    clock,
    random: systemRandom,
    confirm(question) {
      questions.push(question);
      return Promise.resolve(given.answer === true);
    },
    ask(question) {
      questions.push(question);
      return Promise.resolve(given.text ?? '');
    },
    readSecret(question) {
      questions.push(question);
      return Promise.resolve(given.secret ?? '');
    },
    readFile(path) {
      const text = given.files?.[path];
      return text === undefined
        ? Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' }))
        : Promise.resolve(text);
    },
    modeOf: (path) => Promise.resolve(given.modes?.[path] ?? 0o600),
    reach: (address) => Promise.resolve(given.unreachable?.(address)),
    interrupted: () => given.interrupted ?? new Promise(() => undefined),
    openDoor(opened) {
      settings = opened;
      return given.openDoor?.() ?? Promise.resolve(door);
    },
    readAuditStream(opened) {
      settings = opened;
      return (async function* () {
        yield* await Promise.resolve(given.auditStream ?? []);
      })();
    },
    openHttpDoor(opened) {
      httpSettings = opened;
      return given.openHttpDoor?.(opened) ?? door;
    },
  });
  return { code, stdout, stderr, settings, httpSettings, requests, questions, closed };
}

/** The same, at a time that stands still. */
export const run = (args: readonly string[], given?: Given): Promise<Outcome> => runOn(new VirtualClock(), args, given);

export function throwing(code: ErrorCode, message = 'it failed'): () => Promise<never> {
  return () => Promise.reject(new TokenBrokerError(failure(code, message)));
}

export function errorOf({ stdout }: Outcome): { code: string; message: string; remedy: string } {
  return (JSON.parse(stdout) as { error: { code: string; message: string; remedy: string } }).error;
}

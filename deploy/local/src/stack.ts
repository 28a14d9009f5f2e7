import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSubjects } from '@token-broker/protocol';
import { startNats, startRedis, type NatsServer, type NatsUser, type RedisServer } from '@token-broker/testing';
import { brokerFiles, permissionsOf } from './broker-configuration.js';
import { startBrokerProcess, type BrokerProcess } from './broker-process.js';
import { LocalError } from './local-error.js';
import { describeExit, startLocalProcess, type LocalProcess } from './local-process.js';
import { OPERATOR, SAMPLE_SERVICES } from './participants.js';
import { startProcessGuard, type ProcessGuard } from './process-guard.js';
import { startSampleProcess, type SampleProcess } from './sample-process.js';
import { generateSecrets, randomSecret, writePrivately } from './secrets.js';

const REPLICAS = 3;
const PROVIDER_LIMIT_MS = 15_000;
const OBSERVER = 'observer';

/** Told what is being done, and how it went. */
export interface StackProgress {
  /** Something is awaited. */
  begin(what: string): void;
  /** It is there. */
  done(what: string, where: string, tookMs: number): void;
  /** A line that a process has printed. */
  line(process: string, line: string): void;
}

/** The whole system on this machine. */
export interface Stack {
  /** 0700; holds the secrets, and goes with the stack. */
  readonly directory: string;
  readonly nats: NatsServer;
  readonly redis: RedisServer;
  readonly identityProvider: { readonly process: LocalProcess; readonly issuer: string };
  readonly brokers: readonly BrokerProcess[];
  readonly services: readonly SampleProcess[];
  /** A NATS user who may only watch the request of a revocation go by, so that its moment is known. */
  readonly observer: { readonly user: string; readonly password: string; readonly subject: string };
  /** What `tokenctl` needs in its environment to speak for the operator. */
  readonly operatorEnvironment: Readonly<Record<string, string>>;
  /** For further processes, such as `tokenctl`: they end when this process does. */
  readonly guard: ProcessGuard;
  /** Tells of each process that ends while the system runs. */
  onLost(listener: (error: LocalError) => void): void;
  /** Stops everything, the last that was started first. Stopping twice does nothing. */
  stop(): Promise<void>;
}

/**
 * Starts everything, in order; stops what it had started where something fails.
 *
 * @param signal aborts the start
 * @throws {LocalError} where something cannot be started
 */
export async function startStack(progress: StackProgress, signal: AbortSignal): Promise<Stack> {
  const started: (() => Promise<unknown>)[] = [];
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      for (const end of started.reverse()) await end().catch(() => undefined);
    })();
    return stopping;
  };
  try {
    return await start({ progress, signal, started, stop, isStopping: () => stopping !== undefined });
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Start {
  readonly progress: StackProgress;
  readonly signal: AbortSignal;
  /** What ends each thing that was started. */
  readonly started: (() => Promise<unknown>)[];
  readonly stop: () => Promise<void>;
  readonly isStopping: () => boolean;
}

async function start({ progress, signal, started, stop, isStopping }: Start): Promise<Stack> {
  const directory = await mkdtemp(join(tmpdir(), 'token-broker-local-')).catch((error: unknown) => {
    throw new LocalError('there is no folder for the secrets of this run', {
      why: error instanceof Error ? error.message : String(error),
      next: 'Set TMPDIR to a folder that can be written to.',
    });
  });
  started.push(() => rm(directory, { recursive: true, force: true }));
  const guard = startProcessGuard(directory);
  started.push(() => guard.close());

  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });
  aborted.catch(() => undefined);
  let isRunning = false;
  const lossListeners: ((error: LocalError) => void)[] = [];
  const timed = async <T>(what: string, begin: () => Promise<T>, where: (value: T) => string): Promise<T> => {
    signal.throwIfAborted();
    progress.begin(what);
    const startedMs = performance.now();
    const value = await Promise.race([begin(), aborted]);
    progress.done(what, where(value), performance.now() - startedMs);
    return value;
  };
  /** Processes that are stopped together. */
  const group = (): ((process: LocalProcess) => void) => {
    const members: LocalProcess[] = [];
    started.push(() => Promise.all(members.map((process) => process.stop())));
    return (process) => {
      members.push(process);
      void process.exited.then((exit) => {
        // While the stack starts, whoever waits for the process finds out by itself.
        if (!isRunning || isStopping()) return;
        const why = `the process ${describeExit(exit)}`;
        const next = 'Unless you have ended it, its last lines below say why.';
        const error = new LocalError(`${process.name} is gone`, { why, next, lines: process.lastLines() });
        for (const listener of lossListeners) listener(error);
      });
    };
  };
  const tell = (process: string) => (line: string) => {
    progress.line(process, line);
  };

  const secrets = generateSecrets();
  const observer = {
    user: OBSERVER,
    password: randomSecret().reveal(),
    subject: createSubjects().admin(OPERATOR, 'revoke'),
  };
  const surroundings = {
    natsUrl: 'nats://127.0.0.1:4222',
    redisUrl: 'redis://127.0.0.1:6379/0',
    httpListen: '127.0.0.1:0',
  };
  // The permissions do not depend on any address, so NATS never runs without them.
  const draft = brokerFiles({ ...surroundings, identityProvider: { issuer: 'http://127.0.0.1:9000' } }, secrets);
  const users: NatsUser[] = (await permissionsOf(draft)).map(({ user, publish, subscribe }) => ({
    user,
    password: secrets.natsPasswords.get(user)?.reveal() ?? '',
    permissions: { publish, subscribe },
  }));
  users.push({ ...observer, permissions: { publish: [], subscribe: [observer.subject] } });

  const nats = await timed(
    'NATS',
    () => startNats({ users }),
    ({ url }) => url,
  );
  started.push(() => nats.stop());
  const redisPassword = secrets.redisPassword.reveal();
  const redis = await timed(
    'Redis',
    () => startRedis({ password: redisPassword, persistence: true }),
    ({ host, port }) => `redis://${host}:${String(port)}`,
  );
  started.push(() => redis.stop());

  const clients = Object.fromEntries([...secrets.clientSecrets].map(([id, secret]) => [id, secret.reveal()]));
  await writePrivately(directory, { 'identity-provider/clients.json': JSON.stringify(clients) });
  const identityProvider = await timed(
    'OpenID provider',
    async () => {
      const process = startLocalProcess({
        name: 'OpenID provider',
        path: fileURLToPath(new URL('./identity-provider.js', import.meta.url)),
        env: { IDP_CLIENTS_FILE: join(directory, 'identity-provider', 'clients.json') },
        guard,
        adopt: group(),
        onLine: tell('OpenID provider'),
      });
      const issuer = await process.waitFor('the OpenID provider to listen', issuerOf, PROVIDER_LIMIT_MS);
      return { process, issuer };
    },
    ({ issuer }) => issuer,
  );

  const files = brokerFiles(
    {
      ...surroundings,
      natsUrl: nats.url,
      redisUrl: `redis://${redis.host}:${String(redis.port)}/0`,
      identityProvider: { issuer: identityProvider.issuer },
    },
    secrets,
  );
  await writePrivately(join(directory, 'broker'), files);
  const passwordFiles = Object.fromEntries(
    [...SAMPLE_SERVICES, OPERATOR].map((name) => [
      `${name}/nats-password`,
      secrets.natsPasswords.get(name)?.reveal() ?? '',
    ]),
  );
  await writePrivately(join(directory, 'callers'), passwordFiles);

  const configurationFile = join(directory, 'broker', 'broker.yaml');
  const adoptBroker = group();
  const brokers = await timed(
    `${String(REPLICAS)} brokers`,
    () =>
      Promise.all(
        Array.from({ length: REPLICAS }, (_, index) => {
          const name = `broker ${String(index + 1)}`;
          return startBrokerProcess({ name, configurationFile, guard, adopt: adoptBroker, onLine: tell(name) });
        }),
      ),
    (all) => all.map(({ httpUrl }) => httpUrl).join(' '),
  );
  const passwordFileOf = (name: string): string => join(directory, 'callers', name, 'nats-password');
  const adoptService = group();
  const services = await timed(
    `${String(SAMPLE_SERVICES.length)} services`,
    () =>
      Promise.all(
        SAMPLE_SERVICES.map((name) =>
          startSampleProcess({
            name,
            natsUrl: nats.url,
            passwordFile: passwordFileOf(name),
            guard,
            adopt: adoptService,
            onLine: tell(`service ${name}`),
          }),
        ),
      ),
    (all) => all.map(({ name }) => name).join(', '),
  );
  isRunning = true;
  return {
    directory,
    nats,
    redis,
    identityProvider,
    brokers,
    services,
    observer,
    operatorEnvironment: {
      TOKENCTL_SERVER: nats.url,
      TOKENCTL_USER: OPERATOR,
      TOKENCTL_PASSWORD_FILE: passwordFileOf(OPERATOR),
      // Contexts and tokens of this user are no part of it.
      TOKENCTL_CACHE_DIR: join(directory, 'operator/cache'),
      XDG_CONFIG_HOME: join(directory, 'operator/config'),
    },
    guard,
    onLost: (listener) => lossListeners.push(listener),
    stop,
  };
}

function issuerOf(line: string): string | undefined {
  return line.startsWith('{') ? (JSON.parse(line) as { readonly issuer: string }).issuer : undefined;
}

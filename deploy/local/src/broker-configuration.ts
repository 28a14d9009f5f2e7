import { natsPermissions, parseConfiguration, type NatsUserPermissions } from '@token-broker/configuration';
import { LocalError } from './local-error.js';
import { CLIENT_OF_SOURCE, EXPORT_SCOPE, LEDGER, OPERATOR, PAYMENTS } from './participants.js';
import type { Secrets } from './secrets.js';

/** Where things are, for the brokers. */
export interface BrokerSurroundings {
  readonly natsUrl: string;
  /** Without a password: that is in a file. */
  readonly redisUrl: string;
  /** `issuer: …` or `tokenEndpoint: …`. */
  readonly identityProvider: { readonly issuer: string } | { readonly tokenEndpoint: string };
  /** Where `/metrics` and `/readyz` are. */
  readonly httpListen: string;
}

/**
 * The files of the brokers: `broker.yaml`, and the secrets that it refers to beside it. Tokens of `payments-api` are
 * renewed with half of their life left, so that a renewal can be watched.
 */
export function brokerFiles(at: BrokerSurroundings, secrets: Secrets): Record<string, string> {
  const [[idpSetting, idpUrl] = ['issuer', '']] = Object.entries(at.identityProvider);
  const source = (name: keyof typeof CLIENT_OF_SOURCE): string =>
    [
      `  ${name}:`,
      '    provider: oauth2',
      `    ${idpSetting}: '${idpUrl}'`,
      '    allowInsecureHttp: true # on this machine only',
      `    clientId: ${CLIENT_OF_SOURCE[name]}`,
      `    clientSecret: '\${file:${CLIENT_OF_SOURCE[name]}-client-secret}'`,
    ].join('\n');
  const yaml = `# Written at start-up for this local system only. docs/configuration.md explains every setting.
nats:
  servers: ['${at.natsUrl}']
  user: broker
  password: '\${file:nats-password}'
  events: { user: broker-events, password: '\${file:nats-events-password}' }
redis: { url: '${at.redisUrl}', password: '\${file:redis-password}' }
encryption: { keys: [{ id: local, secret: '\${file:sealing-key}' }] }
http: { listen: '${at.httpListen}' }
cluster: { minLifetime: 2s }
sources:
${source(PAYMENTS)}
    scope: 'payments:read payments:write'
    audience: 'https://payments.example.com'
    refresh: { ahead: '50%' }
${source(LEDGER)}
    scope: 'ledger:read'
callers:
  orders: { sources: [${PAYMENTS}] }
  billing: { sources: [${PAYMENTS}, ${LEDGER}] }
  shipping: { sources: [${PAYMENTS}] }
  reports:
    sources:
      - ${PAYMENTS}
      - { name: ${LEDGER}, scopes: ['${EXPORT_SCOPE}'] }
  ${OPERATOR}: { sources: ['*'], admin: true }
`;
  return {
    'broker.yaml': yaml,
    'nats-password': reveal(secrets.natsPasswords, 'broker'),
    'nats-events-password': reveal(secrets.natsPasswords, 'broker-events'),
    'redis-password': secrets.redisPassword.reveal(),
    'sealing-key': secrets.sealingKey.reveal(),
    ...Object.fromEntries(
      [...secrets.clientSecrets].map(([clientId, secret]) => [`${clientId}-client-secret`, secret.reveal()]),
    ),
  };
}

/**
 * What each NATS user may do, generated from the `callers:` of these files.
 *
 * @throws {LocalError} where the files are no configuration
 */
export async function permissionsOf(files: Readonly<Record<string, string>>): Promise<NatsUserPermissions[]> {
  const parsed = await parseConfiguration(files['broker.yaml'] ?? '', {
    env: {},
    // They are not on disk yet: NATS must know its users before its address can be written down.
    readFile: (path) => {
      const text = files[path.slice(path.lastIndexOf('/') + 1)];
      return text === undefined
        ? Promise.reject(new Error(`${path} is not among the files`))
        : Promise.resolve({ text, mode: 0o600 });
    },
  });
  if (parsed.ok) return natsPermissions(parsed.value.configuration);
  throw new LocalError('the configuration for the brokers is not valid', {
    why: parsed.error.problems.map(({ path, message }) => `${path}: ${message}`).join('; '),
    next: 'This is a defect of deploy/local/src/broker-configuration.ts.',
  });
}

function reveal(secrets: Secrets['natsPasswords'], user: string): string {
  const secret = secrets.get(user);
  if (secret === undefined) throw new RangeError(`no password for ${user}`);
  return secret.reveal();
}

import type { Configuration, NatsCredentials, SourceConfiguration } from '@token-broker/configuration';
import type { Redacted } from '@token-broker/foundation';
import { problem, warning, type Finding } from './finding.js';

/** Fewer characters can be guessed, or tried. */
const LEAST_CHARACTERS = 16;
/** A random secret of that length has more different characters than this. */
const LEAST_DIFFERENT = 6;
/** 32 random bytes have about 30 different values. */
const LEAST_DIFFERENT_BYTES = 16;
const PLACEHOLDER = /^(change[-_ ]?me|secret|password|passw0rd|test|example|default|admin|token|letmein|12345)/i;

/** A secret of the configuration, and where it stands. */
interface PlacedSecret {
  readonly place: string;
  readonly secret: Redacted;
}

/** Secrets that can be guessed, or that stand where others read them. None is repeated. */
export function secretFindings(
  configuration: Configuration,
  file: { readonly text: string; readonly mode: number },
): Finding[] {
  const secrets = placedSecrets(configuration);
  return [
    ...secrets.flatMap(({ place, secret }) => weakness(place, secret.reveal())),
    ...keyFindings(configuration),
    ...writtenOut(secrets, file),
  ];
}

function placedSecrets({ nats, redis, sources }: Configuration): PlacedSecret[] {
  const ofNats = (place: string, credentials: NatsCredentials): PlacedSecret[] => {
    if (credentials.kind === 'user') return [{ place: `${place}.password`, secret: credentials.password }];
    return credentials.kind === 'token' ? [{ place: `${place}.token`, secret: credentials.token }] : [];
  };
  return [
    ...ofNats('nats', nats.credentials),
    ...(nats.eventCredentials === nats.credentials ? [] : ofNats('nats.events', nats.eventCredentials)),
    ...(redis.password === undefined ? [] : [{ place: 'redis: the password', secret: redis.password }]),
    ...[...sources.values()].flatMap((source) => ofSource(source)),
  ];
}

function ofSource(source: SourceConfiguration): PlacedSecret[] {
  const place = `sources.${source.name}`;
  switch (source.provider) {
    case 'oauth2': {
      const { clientAuthentication: authentication } = source;
      return 'clientSecret' in authentication
        ? [{ place: `${place}.clientSecret`, secret: authentication.clientSecret }]
        : [];
    }
    case 'static':
      return [{ place: `${place}.value`, secret: source.value }];
    case 'exec':
    case 'module':
    case 'aws-sts':
    case 'aws-rds-iam':
    case 'github-app':
    case 'vault':
    case 'azure-workload-identity':
    case 'google-workload-identity':
      // Nobody has thought of them: they were issued, or are known to a program or a module alone.
      return [];
  }
}

function weakness(place: string, secret: string): Finding[] {
  const why = 'Whoever guesses it is the broker to that server, and gets its tokens.';
  const remedy = 'Have a random one of at least 32 characters made, and change it at both ends.';
  if (PLACEHOLDER.test(secret)) return [problem(`${place} is a word that everybody tries first`, why, remedy)];
  if (secret.length < LEAST_CHARACTERS)
    return [warning(`${place} has ${String(secret.length)} characters only`, why, remedy)];
  if (new Set(secret).size < LEAST_DIFFERENT) return [problem(`${place} repeats a few characters`, why, remedy)];
  return [];
}

function keyFindings({ encryption }: Configuration): Finding[] {
  const seen = new Map<string, string>();
  return encryption.keys.flatMap(({ id, secret }) => {
    const place = `encryption.keys, id ${id}`;
    const bytes = secret.reveal();
    const text = Buffer.from(bytes).toString('base64');
    const twin = seen.get(text);
    seen.set(text, id);
    const isWeak = new Set(bytes).size < LEAST_DIFFERENT_BYTES;
    return [
      ...(isWeak
        ? [
            problem(
              `${place}: the key is not random`,
              'Tokens are sealed with it in Redis: whoever reads Redis could open them.',
              'Make one with `openssl rand -base64 32`, put it first, and keep this one behind it until the tokens have expired.',
            ),
          ]
        : []),
      ...(twin === undefined
        ? []
        : [warning(`${place} is the key of id ${twin} again`, 'A rotation that changes nothing.', 'Make a new key.')]),
    ];
  });
}

/** Secrets that the file itself holds, in place of references. */
function writtenOut(
  secrets: readonly PlacedSecret[],
  { text, mode }: { readonly text: string; readonly mode: number },
): Finding[] {
  const places = secrets.filter(({ secret }) => text.includes(secret.reveal())).map(({ place }) => place);
  if (places.length === 0) return [];
  const what = `the configuration file holds secrets itself: ${places.join(', ')}`;
  const remedy = 'Refer to them with ${env:NAME} or ${file:PATH}.';
  return (mode & 0o004) === 0
    ? [warning(what, 'It is copied, shown and committed with them.', remedy)]
    : [
        problem(
          `${what}; and everybody on this machine can read it`,
          'Everybody here has them.',
          `${remedy} Until then: chmod o= the file.`,
        ),
      ];
}

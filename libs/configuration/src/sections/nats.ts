import { ok, Redacted } from '@token-broker/foundation';
import { DEFAULT_SUBJECT_PREFIX } from '@token-broker/protocol';
import type { z } from 'zod';
import { tlsSchema, toTls } from '../certificates.js';
import type { NatsConfiguration, NatsCredentials } from '../configuration.js';
import { identifier, parseHostAndPort, secret, text, withDefault } from '../scalars.js';
import { crossCheck, list, refuse, setting, settings, wrongKind, type Report } from '../settings.js';

const server = setting(
  { type: 'string', description: 'A server: nats://host:4222, tls://host:4222 or host:port.' },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a server such as "nats://127.0.0.1:4222"', input));
    if (input.includes('@'))
      return refuse('credentials do not belong into the URL', 'use user and password beside servers');
    const address = input.replace(/^(nats|tls):\/\//, '');
    const parsed = parseHostAndPort(address, 4222);
    return parsed !== undefined && parsed.host !== ''
      ? ok(input)
      : refuse('not a NATS server', 'write nats://host:4222, tls://host:4222 or host:port');
  },
);

const credentialSettings = {
  user: text('User name; needs `password`.').optional(),
  password: secret('Password of `user`.').optional(),
  nkeySeed: secret('Seed of a user NKey (`SU…`).').optional(),
  creds: secret('The text of a credentials file (JWT and seed), as `nsc` writes it.').optional(),
  token: secret('An authentication token.').optional(),
};

export const natsSchema = crossCheck(
  settings('The connection to NATS.', {
    servers: list('Servers of one NATS cluster; any of them will do.', server),
    subjectPrefix: withDefault(identifier('First token of every subject.'), DEFAULT_SUBJECT_PREFIX),
    ...credentialSettings,
    events: crossCheck(
      settings(
        'A second identity for the connection that publishes events, so that the one that serves requests needs no permission to.',
        credentialSettings,
      ),
      (written, report) => {
        checkCredentials(written, report);
        if (kindsOf(written).length === 0)
          report([], 'names no credentials', 'user and password, nkeySeed, creds or token');
      },
    ).optional(),
    tls: tlsSchema.optional(),
  }),
  (written, report) => {
    checkCredentials(written, report);
    if (Array.isArray(written['servers']) && written['servers'].length === 0)
      report(['servers'], 'needs at least one server');
  },
);

const KINDS = ['user', 'nkeySeed', 'creds', 'token'] as const;

function kindsOf(written: Readonly<Record<string, unknown>>): string[] {
  return KINDS.filter((kind) => written[kind] !== undefined);
}

function checkCredentials(written: Readonly<Record<string, unknown>>, report: Report): void {
  const [first, second] = kindsOf(written);
  if (first !== undefined && second !== undefined) {
    report([second], `cannot be combined with ${first}`, 'one of: user and password, nkeySeed, creds, token');
  }
  if (written['user'] !== undefined && written['password'] === undefined)
    report(['password'], 'is required beside user');
  if (written['user'] === undefined && written['password'] !== undefined)
    report(['user'], 'is required beside password');
  checkForm(written['nkeySeed'], /^SU[A-Z2-7]{56}$/, () => {
    report(['nkeySeed'], 'not the seed of a user NKey', 'it begins with SU and has 58 characters');
  });
  checkForm(written['creds'], /BEGIN NATS USER JWT[^]*BEGIN USER NKEY SEED/, () => {
    report(['creds'], 'not a NATS credentials file', 'for a file: "${file:/path/to/broker.creds}"');
  });
}

function checkForm(value: unknown, form: RegExp, refused: () => void): void {
  if (value instanceof Redacted && !form.test(String(value.reveal()).trim())) refused();
}

type WrittenCredentials = Pick<z.output<typeof natsSchema>, keyof typeof credentialSettings>;

function toCredentials(written: WrittenCredentials): NatsCredentials {
  const { user, password, nkeySeed, creds, token } = written;
  if (user !== undefined && password !== undefined) return { kind: 'user', user, password };
  if (nkeySeed !== undefined) return { kind: 'nkey', seed: nkeySeed };
  if (creds !== undefined) return { kind: 'creds', creds };
  if (token !== undefined) return { kind: 'token', token };
  return { kind: 'none' };
}

export function toNats(written: z.output<typeof natsSchema>): NatsConfiguration {
  const credentials = Object.freeze(toCredentials(written));
  const wantsTls = written.servers.some((url) => url.startsWith('tls://'));
  const tls = written.tls ?? (wantsTls ? {} : undefined);
  return Object.freeze({
    servers: Object.freeze(written.servers),
    subjectPrefix: written.subjectPrefix,
    credentials,
    eventCredentials: written.events === undefined ? credentials : Object.freeze(toCredentials(written.events)),
    ...(tls === undefined ? {} : { tls: toTls(tls) }),
  });
}

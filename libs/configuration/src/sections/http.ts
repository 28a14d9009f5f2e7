import { createHash } from 'node:crypto';
import { ok, Redacted } from '@token-broker/foundation';
import type { z } from 'zod';
import { certificates, isForeignKey, privateKey } from '../certificates.js';
import type { AdminDoorConfiguration, HttpConfiguration } from '../configuration.js';
import { identifier, parseHostAndPort } from '../scalars.js';
import {
  crossCheck,
  list,
  refuse,
  setting,
  settings,
  valuesOf,
  wrongKind,
  type Report,
  type Values,
} from '../settings.js';

/** A token that can be guessed needs more than a door that counts refusals: 32 characters of base64 are 192 bits. */
const MIN_TOKEN_CHARACTERS = 32;

const listen = setting(
  {
    type: 'string',
    description: 'Address and port of the HTTP server; without an address: every interface. Port 0: any free one.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('address:port', input));
    const parsed = parseHostAndPort(input);
    return parsed === undefined
      ? refuse('expected address:port', 'such as "127.0.0.1:9464", "[::1]:9464" or ":9464"')
      : ok(parsed);
  },
);

const operatorToken = setting(
  { type: 'string', minLength: 1, writeOnly: true, description: 'The token itself, at least 32 characters.' },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input));
    if (!/^[\x21-\x7e]*$/.test(input)) return refuse('holds other characters than visible ASCII');
    return input.length < MIN_TOKEN_CHARACTERS
      ? refuse(`has fewer than ${String(MIN_TOKEN_CHARACTERS)} characters`, 'openssl rand -base64 32')
      : ok(new Redacted(input));
  },
);

const sha256 = setting(
  { type: 'string', description: 'The SHA-256 of the token, in hex: the file then holds nothing that opens the door.' },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input));
    return /^[\dA-Fa-f]{64}$/.test(input)
      ? ok(input.toLowerCase())
      : refuse('is no SHA-256 in hex', 'printf %s "$TOKEN" | sha256sum');
  },
);

const dnsName = setting(
  { type: 'string', description: 'A DNS name among the subject alternative names of the client’s certificate.' },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a DNS name', input));
    return /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(input)
      ? ok(input.toLowerCase())
      : refuse('is no DNS name', 'it is compared exactly, without wildcards');
  },
);

const token = crossCheck(
  settings('A token that an operator shows, as `Authorization: Bearer`.', {
    caller: identifier('Whose it is: a caller with `admin: true`.'),
    token: operatorToken.optional(),
    sha256: sha256.optional(),
  }),
  (written, report) => {
    if (written['token'] === undefined && written['sha256'] === undefined)
      report([], 'needs token or sha256', 'token: "${file:/run/secrets/operator-token}"');
    if (written['token'] !== undefined && written['sha256'] !== undefined)
      report(['sha256'], 'cannot be combined with token');
  },
);

const adminSchema = crossCheck(
  settings('The operators’ verbs over HTTP, for when NATS is away. Off unless it is there.', {
    listen: listen.prefault('127.0.0.1:9465'),
    tls: crossCheck(
      settings('TLS of this door; required unless it listens on loopback.', {
        cert: certificates('The server’s certificate and chain, PEM.'),
        key: privateKey('The private key of `cert`, PEM.'),
        clientCa: certificates('Authorities whose client certificates are believed, PEM.').optional(),
      }),
      ({ cert, key }, report) => {
        if (isForeignKey(cert, key)) report(['key'], 'is not the private key of cert');
      },
    ).optional(),
    tokens: list('Tokens of operators.', token).prefault([]),
    certificates: list(
      'Client certificates of operators; needs `tls.clientCa`.',
      settings('A client certificate.', {
        caller: identifier('Whose it is: a caller with `admin: true`.'),
        name: dnsName,
      }),
    ).prefault([]),
  }),
  checkDoor,
);

function checkDoor(written: Values, report: Report): void {
  const { host } = valuesOf(written['listen']);
  const [tokens, clients] = [listOf(written['tokens']), listOf(written['certificates'])];
  if (tokens.length === 0 && clients.length === 0)
    report([], 'lets nobody in', 'tokens: [{ caller, sha256 }], or certificates: [{ caller, name }]');
  if (written['tls'] === undefined && typeof host === 'string' && !isLoopback(host))
    report(['tls'], 'is required where others than this machine can connect', 'or listen on 127.0.0.1');
  if (clients.length > 0 && valuesOf(written['tls'])['clientCa'] === undefined)
    report(['certificates'], 'needs tls.clientCa', 'who signs them decides who an operator is');
  refuseRepeated(
    clients.map((client) => valuesOf(client)['name']),
    ['certificates'],
    'name',
    report,
  );
  refuseRepeated(
    tokens.map((each) => hashOf(valuesOf(each))),
    ['tokens'],
    undefined,
    report,
  );
}

/** One credential of two callers would make it a matter of luck who is written down. */
function refuseRepeated(
  values: readonly unknown[],
  path: readonly string[],
  key: string | undefined,
  report: Report,
): void {
  for (const [index, value] of values.entries()) {
    if (value !== undefined && values.indexOf(value) < index)
      report([...path, index, ...(key === undefined ? [] : [key])], 'is in the list already');
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

/** Whether an address is of this machine alone. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function hashOf({ token: shown, sha256: hash }: Values): string | undefined {
  if (shown instanceof Redacted) return createHash('sha256').update(String(shown.reveal())).digest('hex');
  return typeof hash === 'string' ? hash : undefined;
}

export const httpSchema = settings('The HTTP server for /metrics, /livez and /readyz.', {
  listen: listen.prefault('127.0.0.1:9464'),
  admin: adminSchema.optional(),
});

export function toHttp({ listen: at, admin }: z.output<typeof httpSchema>): HttpConfiguration {
  return Object.freeze({ listen: Object.freeze(at), ...(admin === undefined ? {} : { admin: toAdminDoor(admin) }) });
}

function toAdminDoor({
  listen: at,
  tls,
  tokens,
  certificates: clients,
}: z.output<typeof adminSchema>): AdminDoorConfiguration {
  return Object.freeze({
    listen: Object.freeze(at),
    tokens: Object.freeze(
      tokens.map((each) => ({
        caller: each.caller,
        sha256: hashOf(each) ?? '',
        ...(each.token === undefined ? {} : { token: each.token }),
      })),
    ),
    certificates: Object.freeze(clients),
    ...(tls === undefined
      ? {}
      : { tls: { cert: tls.cert, key: tls.key, ...(tls.clientCa === undefined ? {} : { clientCa: tls.clientCa }) } }),
  });
}

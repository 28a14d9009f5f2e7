import type { Token } from '@token-broker/client';
import { usageFailure } from '../command-failure.js';

/** What `get` can print. */
export const TOKEN_FORMS = ['raw', 'header', 'json', 'env', 'exec-credential', 'aws-credential-process'] as const;

export type TokenForm = (typeof TOKEN_FORMS)[number];

/**
 * A token for standard output, without the last newline.
 *
 * @param wallMs now: the ends of lives are written as moments where another program reads them later
 * @throws {CommandFailure} where the token cannot have this form
 */
export function renderToken(source: string, token: Token, form: TokenForm, wallMs: number): string {
  const { accessToken, tokenType, scope, username, expiresInMs, epoch, generation, verified } = token;
  switch (form) {
    case 'raw':
      return accessToken;
    case 'header':
      return `Authorization: ${schemeOf(source, token)} ${accessToken}`;
    case 'json':
      return JSON.stringify({
        source,
        accessToken,
        tokenType,
        scope,
        username,
        expiresInMs,
        epoch,
        generation,
        verified,
      });
    case 'env':
      return [
        `ACCESS_TOKEN=${shellWord(accessToken)}`,
        `ACCESS_TOKEN_TYPE=${shellWord(spelledAsKnown(tokenType))}`,
        `ACCESS_TOKEN_EXPIRES_AT=${shellWord(secondOf(wallMs + expiresInMs))}`,
        ...(username === undefined ? [] : [`ACCESS_TOKEN_USERNAME=${shellWord(username)}`]),
      ].join('\n');
    case 'exec-credential':
      return JSON.stringify({
        apiVersion: 'client.authentication.k8s.io/v1',
        kind: 'ExecCredential',
        status: { expirationTimestamp: secondOf(wallMs + expiresInMs), token: bearerTokenOf(source, token) },
      });
    case 'aws-credential-process':
      return JSON.stringify({
        Version: 1,
        ...awsCredentialsIn(source, token),
        Expiration: secondOf(wallMs + expiresInMs),
      });
  }
}

/** Types of tokens that are sent in an `Authorization` header, after the name of the type (RFC 6750, RFC 9449, and GitHub's own). */
const SCHEMES: ReadonlySet<string> = new Set(['bearer', 'dpop', 'pop', 'token']);

/** The scheme of an `Authorization` header with this token. */
function schemeOf(source: string, token: Token): string {
  const { tokenType } = token;
  if (!SCHEMES.has(tokenType.toLowerCase()))
    throw usageFailure(
      `the token of "${source}" does not go into an Authorization header: its type is ${tokenType}`,
      insteadOfHeader(tokenType),
    );
  if (!/^[\x21-\x7e]+$/.test(token.accessToken))
    throw usageFailure(
      `the token of "${source}" does not go into an Authorization header: it has characters that none can hold`,
      'Use --output raw, and send it as its server wants it.',
    );
  return spelledAsKnown(tokenType);
}

function insteadOfHeader(tokenType: string): string {
  switch (tokenType.toLowerCase()) {
    case AWS_CREDENTIALS:
      return 'Use --output aws-credential-process: AWS SDKs sign each request with it.';
    case 'password':
      return 'Use --output raw or env, and give the password to the database.';
    default:
      return 'Use --output raw, and send it as its server wants it.';
  }
}

/** Clients of Kubernetes send whatever an ExecCredential holds as a bearer token. */
function bearerTokenOf(source: string, { tokenType, accessToken }: Token): string {
  if (tokenType.toLowerCase() === AWS_CREDENTIALS || tokenType.toLowerCase() === 'password')
    throw usageFailure(
      `the token of "${source}" is no bearer token: its type is ${tokenType}`,
      insteadOfHeader(tokenType),
    );
  return accessToken;
}

/** The type of a token that is a set of AWS credentials, as JSON. */
const AWS_CREDENTIALS = 'aws-credentials';

/** The three texts that AWS SDKs sign with. */
function awsCredentialsIn(source: string, { accessToken, tokenType }: Token): Readonly<Record<string, string>> {
  const asked = 'Name a source of AWS credentials, or leave out --output.';
  if (tokenType !== AWS_CREDENTIALS)
    throw usageFailure(`the token of "${source}" is no AWS credential: its type is ${tokenType}`, asked);
  const fields = parsedObject(accessToken);
  return Object.fromEntries(
    ['AccessKeyId', 'SecretAccessKey', 'SessionToken'].map((name) => {
      const text = fields[name];
      if (typeof text !== 'string' || text === '')
        throw usageFailure(`the AWS credential of "${source}" has no ${name}`, 'The log of the broker may say more.');
      return [name, text];
    }),
  );
}

/** Nothing of what cannot be read is told: it may be a secret. */
function parsedObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

/** Type names have no case, but many resource servers know only this one. */
function spelledAsKnown(tokenType: string): string {
  return /^bearer$/i.test(tokenType) ? 'Bearer' : tokenType;
}

/** RFC 3339 in UTC, in whole seconds, never later than the moment itself. */
function secondOf(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}

/** A word that every POSIX shell takes for this very text. Quoted only where needed: other readers of such lines know no quotes. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

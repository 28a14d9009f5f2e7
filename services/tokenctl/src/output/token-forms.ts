import type { Token } from '@token-broker/client';

/** What `get` can print. */
export const TOKEN_FORMS = ['raw', 'header', 'json', 'env', 'exec-credential'] as const;

export type TokenForm = (typeof TOKEN_FORMS)[number];

/**
 * A token for standard output, without the last newline.
 *
 * @param wallMs now: the ends of lives are written as moments where another program reads them later
 */
export function renderToken(source: string, token: Token, form: TokenForm, wallMs: number): string {
  const { accessToken, tokenType, scope, username, expiresInMs, epoch, generation, verified } = token;
  switch (form) {
    case 'raw':
      return accessToken;
    case 'header':
      return `Authorization: ${spelledAsKnown(tokenType)} ${accessToken}`;
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
        status: { expirationTimestamp: secondOf(wallMs + expiresInMs), token: accessToken },
      });
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

import { execFileSync } from 'node:child_process';
import type { Token } from '@token-broker/client';
import { describe, expect, it } from 'vitest';
import { CommandFailure } from '../command-failure.js';
import { renderToken, type TokenForm } from './token-forms.js';

const NOW = Date.UTC(2026, 10, 5, 12, 0, 0, 900);
const token: Token = {
  accessToken: 'eyJhbGciOi.e-_~+/=.x',
  tokenType: 'bearer',
  scope: 'a b',
  username: undefined,
  epoch: 1,
  generation: 2,
  verified: true,
  expiresInMs: 60_099,
};

/** What a POSIX shell makes of the lines. */
function inShell(lines: string): string[] {
  const script = `set -a; eval "$1"; exec "$2" -e 'const e = process.env; console.log(JSON.stringify([e.ACCESS_TOKEN, e.ACCESS_TOKEN_TYPE, e.ACCESS_TOKEN_EXPIRES_AT]))'`;
  return JSON.parse(
    execFileSync('/bin/sh', ['-c', script, 'sh', lines, process.execPath], { encoding: 'utf8' }),
  ) as string[];
}

/** What is said of a token that cannot have this form. */
function failureOf(change: Partial<Token>, form: TokenForm): { readonly message: string; readonly remedy: string } {
  try {
    renderToken('payments', { ...token, ...change }, form, NOW);
  } catch (error) {
    if (error instanceof CommandFailure) return { message: error.message, remedy: error.remedy };
    throw error;
  }
  throw new Error('it was not refused');
}

describe('a token for other programs', () => {
  it('is the token alone, or a header with the type as servers know it', () => {
    expect(renderToken('payments', token, 'raw', NOW)).toBe(token.accessToken);
    expect(renderToken('payments', token, 'header', NOW)).toBe(`Authorization: Bearer ${token.accessToken}`);
    expect(renderToken('payments', { ...token, tokenType: 'PoP' }, 'header', NOW)).toBe(
      `Authorization: PoP ${token.accessToken}`,
    );
  });

  it.each([
    ['aws-credentials', 'Use --output aws-credential-process: AWS SDKs sign each request with it.'],
    ['password', 'Use --output raw or env, and give the password to the database.'],
    ['Password', 'Use --output raw or env, and give the password to the database.'],
    ['api-key', 'Use --output raw, and send it as its server wants it.'],
  ])('is no header where it is of the type %s, and it is said what to do instead', (tokenType, remedy) => {
    expect(failureOf({ tokenType }, 'header')).toEqual({
      message: `the token of "payments" does not go into an Authorization header: its type is ${tokenType}`,
      remedy,
    });
  });

  it.each(['bearer', 'BEARER', 'DPoP', 'PoP', 'token'])('is a header where it is of the type %s', (tokenType) => {
    const scheme = /^bearer$/i.test(tokenType) ? 'Bearer' : tokenType;
    expect(renderToken('payments', { ...token, tokenType }, 'header', NOW)).toBe(
      `Authorization: ${scheme} ${token.accessToken}`,
    );
  });

  it.each(['canary with spaces', 'canary\r\nX-Injected: 1', 'canarÿ', ''])(
    'is no header where none can hold it, without a word of what it is: %j',
    (accessToken) => {
      const { message } = failureOf({ accessToken }, 'header');
      expect(message).toMatch(/has characters that none can hold$/);
      expect(message).not.toContain('canar');
    },
  );

  it.each(['aws-credentials', 'password'])('is no credential of Kubernetes where it is of the type %s', (tokenType) => {
    const { message } = failureOf({ tokenType }, 'exec-credential');
    expect(message).toBe(`the token of "payments" is no bearer token: its type is ${tokenType}`);
  });

  it('is an object', () => {
    expect(JSON.parse(renderToken('payments', token, 'json', NOW))).toEqual({ source: 'payments', ...token });
  });

  it('is lines for a shell, without quotes where none are needed', () => {
    const plain = { ...token, accessToken: 'eyJhbGciOi.e-_+/=.x' };
    expect(renderToken('payments', plain, 'env', NOW)).toBe(
      [
        'ACCESS_TOKEN=eyJhbGciOi.e-_+/=.x',
        'ACCESS_TOKEN_TYPE=Bearer',
        'ACCESS_TOKEN_EXPIRES_AT=2026-11-05T12:01:00Z',
      ].join('\n'),
    );
  });

  it.each(['~/x', `'"$(touch /tmp/x)\`id\`;&|\\`, '-e', '#x', 'a b', "'", '!!', '*', 'a\nB=c', '$HOME', '{a,b}'])(
    'is taken by a shell for what it is, and runs nothing: %j',
    (accessToken) => {
      const lines = renderToken('payments', { ...token, accessToken }, 'env', NOW);
      expect(inShell(lines)).toEqual([accessToken, 'Bearer', '2026-11-05T12:01:00Z']);
    },
  );

  it('is a credential of Kubernetes, which ends no later than the token', () => {
    expect(JSON.parse(renderToken('payments', token, 'exec-credential', NOW))).toEqual({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: token.accessToken, expirationTimestamp: '2026-11-05T12:01:00Z' },
    });
  });

  describe('of AWS', () => {
    const parts = { AccessKeyId: 'ASIAEXAMPLE', SecretAccessKey: 'se/cr+et=', SessionToken: 'se//ssion==' };
    const credential: Token = { ...token, tokenType: 'aws-credentials', accessToken: JSON.stringify(parts) };

    it('is what credential_process prints, which ends no later than the token', () => {
      expect(JSON.parse(renderToken('aws', credential, 'aws-credential-process', NOW))).toEqual({
        Version: 1,
        ...parts,
        Expiration: '2026-11-05T12:01:00Z',
      });
    });

    it('is refused where it is none, without a word of what it is', () => {
      expect(() => renderToken('payments', token, 'aws-credential-process', NOW)).toThrow(
        'the token of "payments" is no AWS credential: its type is bearer',
      );
      for (const accessToken of ['canary', '"canary"', '{"AccessKeyId":"canary"}', '{"AccessKeyId":1}', 'null'])
        expect(() => renderToken('aws', { ...credential, accessToken }, 'aws-credential-process', NOW)).toThrow(
          /^the AWS credential of "aws" has no (AccessKeyId|SecretAccessKey)$/,
        );
    });
  });
});

import { Redacted } from '@token-broker/foundation';

/** A proxy's address and, apart from it, what the broker proves itself with there. */
export interface Proxy {
  /** Without user and password: undici puts the address into errors. */
  readonly uri: string;
  /** The value of `Proxy-Authorization` (RFC 9110 §11.7.2). */
  readonly authorization: Redacted | undefined;
  /** What must be in no log line, in the spellings in which it is kept and sent. */
  readonly secrets: readonly Redacted[];
}

/** Takes the address of an HTTP proxy, `http://user:password@host:port`, apart. */
export function readProxy(address: Redacted): Proxy {
  const url = new URL(address.reveal());
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if (username === '' && password === '') return { uri: url.href, authorization: undefined, secrets: [] };
  const pair = `${decoded(username)}:${decoded(password)}`;
  return {
    uri: url.href,
    authorization: new Redacted(`Basic ${Buffer.from(pair).toString('base64')}`),
    secrets: [
      address,
      ...[`${username}:${password}`, pair, password, decoded(password)].map((text) => new Redacted(text)),
    ],
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that encodes nothing stands for itself.
    return text;
  }
}

import type { CustomFetch, FetchBody } from 'openid-client';
import type { Exchanges } from './exchange.js';

/** Leads the OAuth library's requests to ours. Its own time limit is left aside: the call has one. */
export function libraryFetch(exchanges: Exchanges): CustomFetch {
  return (url, { method, headers, body }) => {
    const text = textOf(body);
    return exchanges.request(url, { method, headers, ...(text === undefined ? {} : { body: text }) });
  };
}

function textOf(body: FetchBody): string | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('the OAuth library sends a body that is neither text nor a form');
}

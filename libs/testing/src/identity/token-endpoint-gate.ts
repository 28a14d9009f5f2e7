import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the token endpoint has seen since its start, or since the counts were reset. */
export interface TokenEndpointCounts {
  /** Requests that arrived, whatever came of them. */
  readonly tokenRequests: number;
  readonly tokenRequestsByClient: Readonly<Record<string, number>>;
  readonly tokenRequestsByGrant: Readonly<Record<string, number>>;
  /** Replies that carried a token. */
  readonly tokensIssued: number;
  /** The most requests that were under way at one moment. */
  readonly maxConcurrent: number;
}

/** A token request, as it arrived. */
export interface RecordedTokenRequest {
  readonly clientId: string;
  readonly grant: string;
  readonly headers: IncomingMessage['headers'];
  readonly form: URLSearchParams;
}

/** A reply in place of the provider's own. */
export interface FailureReply {
  /** Default 503. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default `{"error":"temporarily_unavailable"}`. */
  readonly body?: string;
}

/** How a test looks at an endpoint, and makes it slow or faulty. */
export interface EndpointControls {
  /** The requests since the counts were reset, the oldest first; at most the last 10,000. */
  requests(): readonly RecordedTokenRequest[];
  /** From the next request on, the endpoint waits this long, by real time, before it does anything. */
  setDelay(delayTokenMs: number): void;
  /** The next `count` requests get this reply; replaces what was asked for before. */
  failNext(count: number, reply?: FailureReply): void;
  /** While true, requests get no answer at all; those that are waiting go on when it turns false. */
  setHanging(hanging: boolean): void;
}

/** The same for the token endpoint, which counts. */
export interface TokenEndpointControls extends EndpointControls {
  counts(): TokenEndpointCounts;
  resetCounts(): void;
}

/** Stands before a token endpoint: counts, records, delays, refuses. */
export interface TokenEndpointGate {
  readonly controls: TokenEndpointControls;
  /** Told by the provider behind the gate, for each token that it gives out. */
  readonly countIssued: () => void;
  /** Resolves with the body of a request that may pass, or with undefined where it was answered here, or left. */
  readonly admit: (request: IncomingMessage, response: ServerResponse) => Promise<string | undefined>;
}

const MOST_RECORDED = 10_000;

export function createTokenEndpointGate(firstDelayMs: number): TokenEndpointGate {
  let delayMs = firstDelayMs;
  let failures: FailureReply[] = [];
  let hanging: { readonly over: Promise<void>; readonly end: () => void } | undefined;
  let recorded: RecordedTokenRequest[] = [];
  let totals = emptyTotals();
  let underWay = 0;

  const controls: TokenEndpointControls = {
    counts: () => {
      const { byClient, byGrant, ...sums } = totals;
      return {
        ...sums,
        tokenRequestsByClient: Object.fromEntries(byClient),
        tokenRequestsByGrant: Object.fromEntries(byGrant),
      };
    },
    resetCounts() {
      totals = emptyTotals();
      totals.maxConcurrent = underWay;
      recorded = [];
    },
    requests: () => [...recorded],
    setDelay(delayTokenMs) {
      delayMs = delayTokenMs;
    },
    failNext(count, reply = {}) {
      failures = Array.from({ length: count }, () => reply);
    },
    setHanging(wanted) {
      if (wanted) hanging ??= createLatch();
      else {
        hanging?.end();
        hanging = undefined;
      }
    },
  };

  return {
    controls,
    countIssued: () => {
      totals.tokensIssued += 1;
    },
    admit: async (request, response) => {
      totals.tokenRequests += 1;
      underWay += 1;
      totals.maxConcurrent = Math.max(totals.maxConcurrent, underWay);
      response.once('close', () => {
        underWay -= 1;
      });
      const failure = failures.shift();
      const body = await readBody(request);
      const entry = describeRequest(request, body);
      increment(totals.byClient, entry.clientId);
      increment(totals.byGrant, entry.grant);
      if (recorded.push(entry) > MOST_RECORDED) recorded.shift();

      if (delayMs > 0) await sleep(delayMs);
      if (hanging !== undefined) await hanging.over;
      if (response.destroyed) return undefined;
      if (failure === undefined) return body;
      response.writeHead(failure.status ?? 503, { 'content-type': 'application/json', ...failure.headers });
      response.end(failure.body ?? '{"error":"temporarily_unavailable"}');
      return undefined;
    },
  };
}

interface Totals {
  tokenRequests: number;
  tokensIssued: number;
  maxConcurrent: number;
  readonly byClient: Map<string, number>;
  readonly byGrant: Map<string, number>;
}

function emptyTotals(): Totals {
  return { tokenRequests: 0, tokensIssued: 0, maxConcurrent: 0, byClient: new Map(), byGrant: new Map() };
}

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function describeRequest(request: IncomingMessage, body: string): RecordedTokenRequest {
  const form = new URLSearchParams(body);
  return {
    clientId: basicUser(request.headers.authorization) ?? form.get('client_id') ?? '(none)',
    grant: form.get('grant_type') ?? '(none)',
    headers: request.headers,
    form,
  };
}

/** RFC 6749, 2.3.1: client id and secret are form-encoded before they become user and password. */
function basicUser(authorization: string | undefined): string | undefined {
  const encoded = /^Basic (.+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const user = Buffer.from(encoded, 'base64').toString('utf8').split(':', 1)[0] ?? '';
  return new URLSearchParams(`user=${user}`).get('user') ?? undefined;
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function createLatch(): { readonly over: Promise<void>; readonly end: () => void } {
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { over, end };
}

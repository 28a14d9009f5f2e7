import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';

/** The keys that an endpoint knows, as AWS does. */
export interface KnownKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** On the wall clock. Absent: they do not end. */
  readonly endsAtMs?: number;
}

/** A request as it came in. */
export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

class Sha256 {
  readonly #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>;

  constructor(secret?: Uint8Array | ArrayBuffer | ArrayBufferView | string) {
    this.#hash =
      secret === undefined
        ? createHash('sha256')
        : createHmac('sha256', typeof secret === 'string' ? secret : bytesOf(secret));
  }

  update(data: Uint8Array | ArrayBuffer | ArrayBufferView | string): void {
    this.#hash.update(typeof data === 'string' ? data : bytesOf(data));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()));
  }

  reset(): void {
    throw new Error('not used');
  }
}

function bytesOf(data: Uint8Array | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (data instanceof Uint8Array) return data;
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

/** The id of the key that a request says that it is signed with; `undefined`: it is not signed. */
export function keyIdOf({ headers }: SignedRequest): string | undefined {
  return /^AWS4-HMAC-SHA256 Credential=([^/]+)\//.exec(headers['authorization'] ?? '')?.[1];
}

/** Whether a request bears the signature that these keys give it (Signature Version 4), by signing it again. */
export async function isSignedBy(
  { method, path, headers, body }: SignedRequest,
  keys: KnownKeys,
  scope: { readonly region: string; readonly service: string },
): Promise<boolean> {
  const authorization = headers['authorization'] ?? '';
  const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? [];
  const [, date = ''] = /^(\d{8}T\d{6}Z)$/.exec(headers['x-amz-date'] ?? '') ?? [];
  const signedAt = new Date(date.replace(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/, '$1-$2-$3T$4:$5:$6Z'));
  const hash = 'x-amz-content-sha256';
  const [target = '', query = ''] = path.split('?');
  const signer = new SignatureV4({
    ...scope,
    credentials: keys,
    sha256: Sha256,
    applyChecksum: names.includes(hash),
  });
  const signed = await signer.sign(
    {
      method,
      protocol: 'http:',
      hostname: headers['host'] ?? '',
      path: target,
      query: Object.fromEntries(new URLSearchParams(query)),
      // The hash of the body is made anew: what came in must be the hash of what came in.
      headers: Object.fromEntries(
        names.flatMap((name) => (name === hash ? [] : [[name, headers[name] ?? ''] as const])),
      ),
      body,
    },
    { signingDate: signedAt, signableHeaders: new Set(names) },
  );
  return signed.headers['authorization'] === authorization;
}

import type { TokenParameters } from '@token-broker/protocol';
import type { Token } from './token.js';

/** What a sealed record holds. Its parameters let a broker renew a slot that it knows by name alone. */
export interface RecordContent {
  readonly token: Token;
  readonly lifeMs: number;
  /** Redis time. It stands beside the sealed value too, for the scripts; this one counts. */
  readonly expiresAtMs: number;
  readonly parameters: TokenParameters;
  /** Whom the tokens of its subject named when they were checked; absent: there was none, or nobody noted it. */
  readonly subjects?: readonly string[];
  /** What takes the token back upstream, where that is not the token. Here alone: no broker keeps it in memory, none hands it out. */
  readonly revocationHandle?: string;
}

/** Binds a sealed value to its place: a record copied to another key, epoch or generation does not open. */
export interface SealBinding {
  readonly namespace: string;
  readonly slot: string;
  readonly recipe: string;
  readonly epoch: number;
  readonly generation: number;
  readonly field: 'record' | 'channel' | 'recipe-key';
}

export function sealAdditionalData(binding: SealBinding): Uint8Array {
  const { namespace, slot, recipe, epoch, generation, field } = binding;
  return Buffer.from(JSON.stringify(['token-broker.seal.v1', namespace, slot, recipe, epoch, generation, field]));
}

export function encodeRecord(content: RecordContent): Uint8Array {
  return Buffer.from(JSON.stringify(content));
}

/** Decodes what was authenticated when it was opened: only our own writing arrives here. */
export function decodeRecord(bytes: Uint8Array): RecordContent | undefined {
  try {
    const value = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<RecordContent>;
    const { token, lifeMs, expiresAtMs, parameters = {}, subjects, revocationHandle } = value;
    if (typeof token?.accessToken !== 'string' || typeof lifeMs !== 'number') return undefined;
    if (typeof expiresAtMs !== 'number') return undefined;
    return {
      token,
      lifeMs,
      expiresAtMs,
      parameters,
      ...(subjects === undefined ? {} : { subjects }),
      ...(revocationHandle === undefined ? {} : { revocationHandle }),
    };
  } catch {
    return undefined;
  }
}

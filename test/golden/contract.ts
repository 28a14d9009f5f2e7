import { readdirSync, readFileSync } from 'node:fs';
import * as protocol from '@token-broker/protocol';

const V1 = new URL('v1/', import.meta.url);

/** Schemas that are a part, or a choice, of messages rather than a message of their own. */
export const PARTS: readonly string[] = [
  'selector',
  'receipts',
  'graceful',
  'change',
  'timing',
  'channel',
  'refresh-token-status',
  'budget-status',
  'source-counts',
  'replica-status',
  'replica-knowledge',
  'inquiry',
  'replica-report',
  'get-reply',
  'sync-reply-or-failure',
];

/** Every schema that the protocol exports, by its name in the contract: `getRequestSchema` is `get-request`. */
export const schemas: ReadonlyMap<string, protocol.MessageSchema> = new Map(
  Object.entries(protocol).flatMap(([name, value]) => {
    const isSchema = name.endsWith('Schema') && typeof value === 'object' && 'safeParse' in value;
    return isSchema ? [[kebab(name.slice(0, -'Schema'.length)), value] as const] : [];
  }),
);

/** The messages: what crosses the wire as a whole. */
export const messages: ReadonlyMap<string, protocol.MessageSchema> = new Map(
  [...schemas].filter(([name]) => !PARTS.includes(name)),
);

interface Shaped {
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly options?: readonly Shaped[];
}

/** The names of a message's fields; of a message with variants, those of all of them. None for a mere choice. */
export function fieldsOf(schema: protocol.MessageSchema): string[] {
  const { shape, options } = schema as Shaped;
  if (shape !== undefined) return Object.keys(shape);
  const isMessage = 'discriminator' in schema.def;
  return isMessage ? [...new Set((options ?? []).flatMap((option) => Object.keys(option.shape ?? {})))] : [];
}

export interface GoldenFile {
  /** Without `.json`. */
  readonly name: string;
  /** The message that it is one of. */
  readonly message: string;
  readonly bytes: Uint8Array;
  /** What it decodes to: itself, or the text of its `.decoded` file. */
  readonly decoded: unknown;
}

/** Payloads that must decode for ever. */
export function goldenFiles(): GoldenFile[] {
  const names = readdirSync(V1).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []));
  return names
    .filter((name) => !name.endsWith('.decoded'))
    .map((name) => {
      const decoded = names.includes(`${name}.decoded`) ? `${name}.decoded` : name;
      const [message = ''] = name.split('.');
      return { name, message, bytes: read(`${name}.json`), decoded: parse(`${decoded}.json`) };
    });
}

export interface SlotVector {
  readonly what: string;
  readonly source: string;
  readonly parameters: protocol.TokenParameters;
  readonly canonical: string;
  readonly slot: string;
  readonly partitionOf16: number;
}

export function slotVectors(): SlotVector[] {
  return parse('vectors/slots.json') as SlotVector[];
}

export interface SubjectVector {
  readonly what: string;
  readonly subjectToken: string;
  readonly actorToken?: string;
  readonly subjectHash: string;
  readonly source: string;
  /** Of the source and this subject, with nothing else asked. */
  readonly slot: string;
}

export function subjectVectors(): SubjectVector[] {
  return parse('vectors/subject-hashes.json') as SubjectVector[];
}

export interface PushVector {
  readonly key: string;
  readonly nonce: string;
  readonly binding: protocol.PushBinding;
  readonly additionalData: string;
  readonly plaintext: string;
  readonly sealed: string;
}

export function pushVector(): PushVector {
  return parse('vectors/sealed-push.json') as PushVector;
}

function read(path: string): Buffer {
  return readFileSync(new URL(path, V1));
}

function parse(path: string): unknown {
  return JSON.parse(read(path).toString());
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

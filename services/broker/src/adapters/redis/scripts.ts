import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';
import { StoreError } from '../../app/ports/store.js';

export type RedisClient = Redis | Cluster;

/** Found by the package: this module may run from its source, as it was built, or as a part of the bundle. */
const LUA = new URL('../lua/', import.meta.resolve('@token-broker/broker'));

/** Scripts by name: which files they are made of, and how many keys they take. */
const SCRIPTS = {
  read: { files: ['prelude', 'slot', 'read'], keys: 8 },
  reserve: { files: ['prelude', 'slot', 'reserve'], keys: 8 },
  commit: { files: ['prelude', 'slot', 'commit'], keys: 8 },
  fail: { files: ['prelude', 'slot', 'fail'], keys: 8 },
  abandon: { files: ['prelude', 'slot', 'abandon'], keys: 8 },
  reject: { files: ['prelude', 'slot', 'reject'], keys: 9 },
  revoke: { files: ['prelude', 'revoke'], keys: 9 },
  confirm: { files: ['prelude', 'confirm'], keys: 4 },
  lease: { files: ['prelude', 'lease'], keys: 3 },
  leave: { files: ['prelude', 'leave'], keys: 3 },
  policy: { files: ['prelude', 'policy'], keys: 3 },
  list: { files: ['prelude', 'list'], keys: 4 },
  scan: { files: ['prelude', 'scan'], keys: 4 },
  count: { files: ['prelude', 'count'], keys: 4 },
  pause: { files: ['prelude', 'pause'], keys: 3 },
  presence: { files: ['presence'], keys: 1 },
  journalSpend: { files: ['journal', 'journal-spend'], keys: 2 },
  journalSucceed: { files: ['journal', 'journal-succeed'], keys: 2 },
  journalKeep: { files: ['journal', 'journal-keep'], keys: 2 },
  journalRelease: { files: ['journal', 'journal-release'], keys: 2 },
  journalExhaust: { files: ['journal', 'journal-exhaust'], keys: 2 },
  journalSeed: { files: ['journal', 'journal-seed'], keys: 2 },
  journalState: { files: ['journal', 'journal-state'], keys: 2 },
  permit: { files: ['calendar', 'budget', 'permit'], keys: 8 },
  settle: { files: ['calendar', 'budget', 'settle'], keys: 8 },
  budgetState: { files: ['calendar', 'budget', 'budget-state'], keys: 8 },
} as const;

export type ScriptName = keyof typeof SCRIPTS;

/** A value of a script's reply: numbers are never sent as numbers, since Redis cuts them. */
export type ReplyValue = Buffer | readonly ReplyValue[] | null;

type BufferCommand = (...parts: (string | Uint8Array)[]) => Promise<unknown>;

/** Runs the scripts of `lua/`, by their digest; ioredis sends the text once where a server does not know it. */
export class Scripts {
  readonly #client: RedisClient;
  readonly #onError: (command: string) => void;

  constructor(client: RedisClient, onError: (command: string) => void) {
    this.#client = client;
    this.#onError = onError;
    for (const [name, script] of Object.entries(SCRIPTS)) {
      client.defineCommand(commandName(name), {
        numberOfKeys: script.keys,
        lua: script.files.map((file) => luaText(file)).join('\n'),
      });
    }
  }

  async run(
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | number | Uint8Array)[],
  ): Promise<readonly ReplyValue[]> {
    const command = (this.#client as unknown as Record<string, BufferCommand | undefined>)[
      `${commandName(name)}Buffer`
    ];
    if (command === undefined) throw new Error(`the script ${name} is not defined`);
    const parts = args.map((arg) => (typeof arg === 'number' ? String(arg) : arg));
    try {
      return (await command.call(this.#client, ...keys, ...parts)) as readonly ReplyValue[];
    } catch (error) {
      this.#onError(name);
      throw toStoreError(name, error);
    }
  }
}

const QUOTED = /'[^']*'( command)?|"[^"]*"/g;
/** The name of a command that may not be run, as Redis writes it. */
const COMMAND = /^'[a-z|]{1,40}' command$/;

/** Tells a refusal, after which nothing was written, from silence, after which nobody knows. */
export function toStoreError(command: string, error: unknown): StoreError {
  const text = error instanceof Error ? error.message : String(error);
  const refused = error instanceof Error && error.name === 'ReplyError';
  // Redis repeats arguments in some errors: the first line, without anything quoted but the command's name, says enough.
  const detail = (text.split('\n')[0] ?? '').replaceAll(QUOTED, (quoted) => (COMMAND.test(quoted) ? quoted : '…'));
  return new StoreError(command, refused ? 'refused' : 'unknown', detail.slice(0, 160));
}

function commandName(name: string): string {
  return `tokenBroker${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

function luaText(file: string): string {
  return readFileSync(new URL(`${file}.lua`, LUA), 'utf8');
}

import type { Aead, Random } from '@token-broker/foundation';
import type { Configuration } from '@token-broker/configuration';
import type { ReloadReply } from '@token-broker/protocol';
import { Keyring } from './tokens/keyring.js';
import { StoreError, type Store } from './ports/store.js';
import type { Audit } from './ports/audit.js';
import type { Log, Metrics } from './ports/telemetry.js';
import { loadRecipeKey } from './tokens/recipe-key.js';
import { cutoffId, planConfiguration, type ProviderKinds } from './sources/reconfigure.js';
import { revoke, type RevocationPorts } from './revocation/revocation.js';
import type { Snapshot, Sources } from './sources/sources.js';

export type ReloadResult = Omit<ReloadReply, 'v'>;

export interface ConfigurationPorts {
  readonly aead: Aead;
  readonly random: Random;
  readonly store: Store;
  readonly sources: Sources;
  /** The keyring that the codec uses: its keys follow the configuration. */
  readonly keyring: Keyring;
  readonly revocation: RevocationPorts;
  readonly kinds: ProviderKinds;
  readonly log: Log;
  readonly audit: Audit;
  readonly metrics: Metrics;
  /** Reads the configuration's source again; the problems of one that is broken, by line. */
  readonly readConfiguration: () => Promise<Configuration | readonly string[]>;
  /** Another configuration is in force. */
  readonly onApplied: () => void;
}

/**
 * The configuration that this replica runs, and its version in the cluster. Whatever changes it happens one after the
 * other: two changes under way at once could leave the older one in force.
 */
export class ConfigurationInForce {
  readonly #ports: ConfigurationPorts;
  /** Of the keys in Redis; another one takes a restart. */
  readonly #namespace: string;
  #configuration: Configuration;
  #recipeKey: Uint8Array | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** A reload that has not begun to read yet: who comes meanwhile shares it. */
  #waiting: Promise<ReloadResult> | undefined;
  /** Sources that changed and whose tokens have not been cut off yet, with the version that changed them. */
  readonly #owed = new Map<string, number>();
  #catchingUp = false;
  #owesReload = false;
  /** The newest version of a peer that a heartbeat has seen. */
  #noted = { policy: 0, fingerprint: '' };
  #owesLook = false;

  constructor(ports: ConfigurationPorts, configuration: Configuration) {
    this.#ports = ports;
    this.#configuration = configuration;
    this.#namespace = configuration.namespace;
  }

  /** @throws {Error} before {@link ConfigurationInForce.begin} has succeeded */
  get recipeKey(): Uint8Array {
    if (this.#recipeKey === undefined) throw new Error('the recipe key is not loaded yet');
    return this.#recipeKey;
  }

  /** Puts the first configuration into force. Rejects with a `StoreError` while Redis is away, and may be called again. */
  begin(): Promise<void> {
    return this.#inTurn(() => this.#apply(this.#configuration, true));
  }

  /** Reads the configuration again, after this call; a broken one changes nothing. Never rejects. */
  reload(): Promise<ReloadResult> {
    this.#waiting ??= this.#inTurn(() => {
      this.#waiting = undefined;
      return this.#reload();
    });
    return this.#waiting;
  }

  /** What the cluster runs, once a tick while Redis answers: the moment to do what is still owed. */
  notePolicy(policy: number, fingerprint: string): void {
    const { sources } = this.#ports;
    const { current } = sources;
    const isLost = fingerprint === '';
    if (fingerprint === current.fingerprint) {
      if (policy !== current.policy) sources.adoptPolicy(policy);
    } else if (!isLost && policy > current.policy && policy !== this.#noted.policy) {
      this.#noted = { policy, fingerprint };
      this.#owesLook = true;
    }
    if (isLost || this.#owesLook || this.#owesReload || this.#owed.size > 0) void this.#catchUp(isLost);
  }

  async #catchUp(isLost: boolean): Promise<void> {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    try {
      // Redis has lost everything: say again what the cluster runs.
      if (isLost) await this.begin();
      if (this.#owesLook) await this.#inTurn(() => this.#lookAtPeers());
      if (this.#owesReload) await this.reload();
      await this.#inTurn(() => this.#cutOff());
    } catch (error) {
      this.#ports.log.warn('configuration: not caught up with the cluster yet', { reason: textOf(error) });
    } finally {
      this.#catchingUp = false;
    }
  }

  /** In turn: what looked like a peer's may be a change of this replica's own that was registered and not in force yet. */
  #lookAtPeers(): Promise<void> {
    this.#owesLook = false;
    const { current } = this.#ports.sources;
    if (this.#noted.policy > current.policy && this.#noted.fingerprint !== current.fingerprint) {
      this.#ports.log.warn('configuration: a peer runs a newer one; reading the file again');
      this.#owesReload = true;
    }
    return Promise.resolve();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #reload(): Promise<ReloadResult> {
    const { readConfiguration, sources, metrics, log } = this.#ports;
    this.#owesReload = false;
    const done = (outcome: ReloadReply['outcome'], problems: readonly string[] = []): ReloadResult => {
      metrics.reloaded(outcome);
      if (outcome === 'refused') log.error('configuration: refused, the old one stays in force', { problems });
      return { outcome, problems: [...problems] };
    };
    try {
      const read = await readConfiguration();
      if (Array.isArray(read)) return done('refused', read as readonly string[]);
      const before = sources.current;
      await this.#apply(read as Configuration, false);
      this.#ports.onApplied();
      const isSame = before.fingerprint === sources.current.fingerprint && haveSameProviders(before, sources.current);
      const owed = [...this.#owed.keys()];
      return done(
        isSame ? 'unchanged' : 'reloaded',
        owed.map((name) => `the tokens of "${name}" are not cut off yet: Redis is away; it is tried at every tick`),
      );
    } catch (error) {
      // Nobody else would try again: the file has changed, and will not change once more.
      this.#owesReload = error instanceof StoreError;
      return done('refused', [textOf(error)]);
    }
  }

  /**
   * The cluster's version first, then this replica's keys, sources and callers, then the end of what changed. Until the
   * swap nothing has happened; after it what could not be done is owed.
   */
  async #apply(configuration: Configuration, isNews: boolean): Promise<void> {
    const { aead, store, sources, keyring, random, revocation, kinds, log, audit } = this.#ports;
    const { keys } = configuration.encryption;
    // Under the new keys, so that none of the old ones is needed for it when they are taken out.
    const ports = { store, keyring: new Keyring(aead, keys), random };
    const recipeKey = await loadRecipeKey(ports, this.#namespace, this.#recipeKey);
    const before = sources.current;
    const plan = planConfiguration(before, configuration, recipeKey, kinds);
    const changed = new Set(plan.changed);
    let { policy } = before;
    try {
      // A file that has not changed is not the cluster's newest because it was read again.
      if (isNews || plan.snapshot.fingerprint !== before.fingerprint) {
        policy = await store.registerPolicy(plan.snapshot.fingerprint);
        for (const name of await this.#changedSince(plan.snapshot)) changed.add(name);
      }
    } catch (error) {
      for (const provider of plan.made) await provider.close();
      throw error;
    }
    keyring.replace(keys);
    this.#recipeKey = recipeKey;
    this.#configuration = configuration;
    sources.replace({ ...plan.snapshot, policy });
    for (const name of changed) {
      revocation.memory.dropSource(name);
      this.#owed.set(name, policy);
    }
    if (isNews || plan.snapshot.fingerprint !== before.fingerprint)
      audit.note({
        event: 'configuration.in-force',
        by: 'configuration',
        result: 'done',
        facts: { policy, changed: [...changed].join(' ') },
      });
    log.info('configuration: in force', { policy, sources: [...plan.snapshot.sources.keys()], changed: [...changed] });
    try {
      await this.#cutOff();
    } finally {
      // Last: it waits for the calls that are running, and a slow identity provider must not keep tokens alive.
      for (const provider of plan.retired) await provider.close();
    }
  }

  /**
   * Sources whose tokens in the cluster are of another recipe: changed while this replica was not running, or by one that
   * died before it had cut them off.
   */
  async #changedSince({ sources }: Snapshot): Promise<string[]> {
    const { store } = this.#ports;
    const noted = await store.recipes();
    for (const [name, { recipe }] of sources) if (!noted.has(name)) await store.noteRecipe(name, recipe);
    return [...noted].filter(([name, recipe]) => sources.get(name)?.recipe !== recipe).map(([name]) => name);
  }

  /** Ends the tokens of sources that changed, on every replica and in every near cache. */
  async #cutOff(): Promise<void> {
    const { store, sources, revocation, log } = this.#ports;
    await Promise.all(
      [...this.#owed].map(async ([name, policy]) => {
        try {
          await revoke(revocation, {
            targets: [{ target: { kind: 'source', source: name } }],
            by: 'configuration',
            reason: 'the source was changed or removed',
            id: cutoffId(policy, name),
            policy,
          });
          await store.noteRecipe(name, sources.source(name)?.recipe);
          this.#owed.delete(name);
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          log.warn('configuration: the tokens of a changed source are not cut off yet', { source: name });
        }
      }),
    );
  }
}

function haveSameProviders(a: Sources['current'], b: Sources['current']): boolean {
  return [...a.sources].every(([name, { provider }]) => b.sources.get(name)?.provider === provider);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

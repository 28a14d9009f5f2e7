import type { SourceConfiguration } from '@token-broker/configuration';
import { traitsOf } from '@token-broker/configuration';
import { createSystemClock, Redacted, type Clock, type Result } from '@token-broker/foundation';
import { eventually, VirtualClock } from '@token-broker/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { IssuedToken, Lender, Provider, ProviderFailure } from '../../../../app/ports/provider.js';
import type { Log, LogFields } from '../../../../app/ports/telemetry.js';
import { createProvider } from '../../provider-registry.js';

/** How the upstream of a bed answers from now on. */
export type Behaviour =
  /** As it should. Default life: that which was asked for. */
  | { readonly does: 'issue'; readonly lifeMs?: number }
  /** It has understood, and says no. */
  | { readonly does: 'deny' }
  /** Not so often. */
  | { readonly does: 'throttle'; readonly pauseMs: number }
  /** The connection ends in the middle of the reply, or the program dies. */
  | { readonly does: 'break' }
  /** It answers something that is no answer. */
  | { readonly does: 'babble' }
  | { readonly does: 'hang' };

/** An upstream of one kind, and a source that is known to it. */
export interface ContractBed {
  readonly source: SourceConfiguration;
  /** What other sources would lend. Default: there is none. */
  readonly lend?: Lender;
  will(behaviour: Behaviour): void;
  /** Calls so far that the upstream counts. */
  calls(): number;
  /** Tokens that were taken back there. */
  readonly takenBack: readonly string[];
}

/** What the suite has to know of a kind. */
export interface ContractKind {
  /** Started for each test; ended by `onTestFinished`. */
  readonly start: () => Promise<ContractBed>;
  readonly tokenType: string;
  readonly username?: string;
  /** What this upstream cannot do, with the reason: it is the title of a test that is left out. */
  readonly never?: Partial<Record<Behaviour['does'], string>>;
  /** The upstream says how long to wait when it throttles. Default true. */
  readonly namesPause?: boolean;
  /** Changes of a source that change its tokens: one for each setting that does (K2). */
  readonly changes: Readonly<Record<string, (source: SourceConfiguration) => SourceConfiguration>>;
  /** Changes that take another provider, or none, and leave the tokens as they are. */
  readonly sameTokens: Readonly<Record<string, (source: SourceConfiguration) => SourceConfiguration>>;
}

interface Opened {
  readonly provider: Provider;
  /** All that was logged, as text. */
  readonly lines: readonly string[];
}

const lendNothing: Lender = () =>
  Promise.resolve({ ok: false, error: { code: 'IDP_DENIED', message: 'there is no such source', detail: '' } });

function open(bed: ContractBed, clock: Clock = createSystemClock()): Opened {
  const lines: string[] = [];
  const note = (message: string, fields?: LogFields): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const provider = createProvider(bed.source, { clock, log, lend: bed.lend ?? lendNothing });
  onTestFinished(() => provider.close());
  return { provider, lines };
}

function issuedBy(end: Result<IssuedToken, ProviderFailure>): IssuedToken {
  if (!end.ok) throw new Error(`${end.error.code}: ${end.error.message} (${end.error.detail})`);
  return end.value;
}

/** What every provider owes, whatever it is behind it. */
export function itKeepsTheContract(name: string, kind: ContractKind): void {
  const can = (does: Behaviour['does']): boolean => kind.never?.[does] === undefined;
  const itWhen = (does: Behaviour['does'], title: string, test: () => Promise<void>): void => {
    if (can(does)) it(title, test);
  };

  describe(`${name} keeps the contract of a provider`, () => {
    it('gets a credential by one call, of its type and within the life that it states', async () => {
      const bed = await kind.start();
      const { provider } = open(bed);
      const issued = issuedBy(await provider.fetch({ scopes: bed.source.scopes }));
      expect(issued.tokenType).toBe(kind.tokenType);
      expect(issued.username).toBe(kind.username);
      expect(issued.lifeMs).toBeGreaterThan(0);
      expect(issued.lifeMs).toBeLessThanOrEqual(provider.capabilities.longestLifeMs);
      expect(issued.accessToken.reveal()).not.toBe('');
      expect(bed.calls()).toBe(provider.capabilities.callsUpstream ? 1 : 0);
    });

    it('keeps none: each call asks, and a renewal brings another where there is another to be had', async () => {
      const bed = await kind.start();
      const { provider } = open(bed);
      const tokens = new Set<string>();
      for (let i = 0; i < 2; i++)
        tokens.add(issuedBy(await provider.fetch({ scopes: bed.source.scopes })).accessToken.reveal());
      const { callsUpstream } = provider.capabilities;
      expect([tokens.size, bed.calls()]).toEqual(callsUpstream ? [2, 2] : [tokens.size, 0]);
    });

    itWhen('issue', 'believes a life that is shorter than what it asked for', async () => {
      const bed = await kind.start();
      bed.will({ does: 'issue', lifeMs: 61_000 });
      const { lifeMs } = issuedBy(await open(bed).provider.fetch({ scopes: bed.source.scopes }));
      // Some state the end as a moment: then it is what is left of it.
      expect(lifeMs).toBeLessThanOrEqual(61_000);
      expect(lifeMs).toBeGreaterThan(50_000);
    });

    itWhen('deny', 'tells a denial, after one call', async () => {
      const bed = await kind.start();
      bed.will({ does: 'deny' });
      expect(await open(bed).provider.fetch({ scopes: bed.source.scopes })).toMatchObject({
        ok: false,
        error: { code: 'IDP_DENIED' },
      });
      expect(bed.calls()).toBe(1);
    });

    itWhen('throttle', 'tells a throttle from a denial, with its pause, after one call', async () => {
      const bed = await kind.start();
      bed.will({ does: 'throttle', pauseMs: 7_000 });
      expect(await open(bed).provider.fetch({ scopes: bed.source.scopes })).toMatchObject({
        ok: false,
        error: { code: 'QUOTA_EXHAUSTED', ...(kind.namesPause === false ? {} : { retryAfterMs: 7_000 }) },
      });
      expect(bed.calls()).toBe(1);
    });

    itWhen(
      'break',
      'tells that it could not be served, makes no second call, and is well again with the next',
      async () => {
        const bed = await kind.start();
        const { provider } = open(bed);
        bed.will({ does: 'break' });
        const failed = await provider.fetch({ scopes: bed.source.scopes });
        expect(failed).toMatchObject({ ok: false, error: { code: 'IDP_UNAVAILABLE' } });
        expect(bed.calls()).toBe(1);
        bed.will({ does: 'issue' });
        expect((await provider.fetch({ scopes: bed.source.scopes })).ok).toBe(true);
      },
    );

    itWhen('babble', 'refuses what is no answer', async () => {
      const bed = await kind.start();
      bed.will({ does: 'babble' });
      expect(await open(bed).provider.fetch({ scopes: bed.source.scopes })).toMatchObject({
        ok: false,
        error: { code: 'IDP_PROTOCOL' },
      });
      expect(bed.calls()).toBe(1);
    });

    itWhen('hang', 'ends by itself at the timeout of the source, and can be closed after it', async () => {
      const bed = await kind.start();
      const clock = new VirtualClock();
      const { provider } = open(bed, clock);
      bed.will({ does: 'hang' });
      const running = provider.fetch({ scopes: bed.source.scopes });
      await eventually(() => bed.calls() === 1, { what: 'the call' });
      await clock.advance(bed.source.timeoutMs);
      expect(await running).toMatchObject({ ok: false, error: { code: 'IDP_TIMEOUT' } });
      await provider.close();
    });

    it('answers also after it was closed, and never rejects', async () => {
      const bed = await kind.start();
      const { provider } = open(bed);
      await provider.close();
      expect(typeof (await provider.fetch({ scopes: bed.source.scopes })).ok).toBe('boolean');
      expect(typeof (await provider.revoke(new Redacted('token'))).ok).toBe('boolean');
      await provider.close();
    });

    it('takes a token back where it states that it can, and says so where it cannot', async () => {
      const bed = await kind.start();
      const { provider } = open(bed);
      const { accessToken, revocationHandle } = issuedBy(await provider.fetch({ scopes: bed.source.scopes }));
      const calls = bed.calls();
      const outcome = await provider.revoke(accessToken, revocationHandle);
      if (provider.capabilities.canRevoke) {
        expect(outcome).toEqual({ ok: true, value: 'revoked' });
        expect(bed.takenBack).toEqual([accessToken.reveal()]);
      } else {
        expect(outcome).toEqual({ ok: true, value: 'unsupported' });
        expect(bed.calls()).toBe(calls);
      }
    });

    it('knows no token of a caller as good where callers give none', async () => {
      const bed = await kind.start();
      expect(await open(bed).provider.readSubject(new Redacted('a token'))).toEqual({ ok: true, value: undefined });
    });

    it('shows no secret of the source and no token, in whatever goes wrong', async () => {
      const bed = await kind.start();
      const { provider, lines } = open(bed);
      const said: string[] = [];
      const token = issuedBy(await provider.fetch({ scopes: bed.source.scopes })).accessToken.reveal();
      const failing = ['deny', 'break', 'babble'] as const;
      const behaviours: Behaviour[] = failing.filter(can).map((does) => ({ does }));
      if (can('throttle')) behaviours.push({ does: 'throttle', pauseMs: 1_000 });
      for (const behaviour of behaviours) {
        bed.will(behaviour);
        const end = await provider.fetch({ scopes: bed.source.scopes, subjectToken: new Redacted(token) });
        if (!end.ok) said.push(JSON.stringify(end.error));
      }
      const text = [...said, ...lines].join('\n');
      expect(said).toHaveLength(behaviours.length);
      for (const canary of [token, ...traitsOf(bed.source).secrets.map((secret) => secret.reveal())])
        expect(text).not.toContain(canary);
    });

    describe('has another recipe (K2)', () => {
      it.each(Object.entries(kind.changes))('with another %s', async (_, change) => {
        const { source } = await kind.start();
        expect(JSON.stringify(traitsOf(change(source)).recipe)).not.toBe(JSON.stringify(traitsOf(source).recipe));
      });

      it.each(Object.entries(kind.sameTokens))('but not with another %s', async (_, change) => {
        const { source } = await kind.start();
        expect(change(source)).not.toEqual(source);
        expect(JSON.stringify(traitsOf(change(source)).recipe)).toBe(JSON.stringify(traitsOf(source).recipe));
      });

      it('in which everything is JSON, so that nothing of it is lost', async () => {
        const { recipe, upstream, credential, besides } = traitsOf((await kind.start()).source);
        for (const ingredients of [recipe, upstream, credential, besides])
          expect(JSON.parse(JSON.stringify(ingredients))).toEqual(ingredients);
      });
    });

    it('names no secret among what counts for its upstream: a rotated one changes no budget', async () => {
      const { source } = await kind.start();
      const { upstream, secrets } = traitsOf(source);
      for (const secret of secrets) expect(JSON.stringify(upstream)).not.toContain(secret.reveal());
    });
  });
}

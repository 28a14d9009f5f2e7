import type { Script } from '@token-broker/broker/simulation';
import type { Bug } from './bug.js';

/** The partition as a script sees it, with some of it replaced; what a script writes below goes through. */
function seen(script: Script, change: Partial<Script['partition']>): Script {
  const partition = Object.create(script.partition) as Script['partition'];
  for (const [name, value] of Object.entries(change)) Object.defineProperty(partition, name, { value });
  return { ...script, partition };
}

/** Rules that the scripts in Redis keep. */
export const SCRIPT_BUGS: readonly Bug[] = [
  {
    name: 'commit-ignores-the-floor',
    breaks: ['G2'],
    what: 'A commit does not look whether its generation was revoked while the provider was called.',
    scripts: (scripts) => ({
      ...scripts,
      commit: (script, request) => scripts.commit(seen(script, { floorOf: () => 0 }), request),
    }),
  },
  {
    name: 'commit-ignores-the-epoch',
    breaks: ['G2', 'G3'],
    what: 'A commit does not look whether its claim was made in the epoch that counts.',
    scripts: (scripts) => ({
      ...scripts,
      commit: (script, request) => scripts.commit(script, { ...request, epoch: script.partition.epoch }),
    }),
  },
  {
    name: 'commit-ignores-the-generation',
    breaks: ['G1', 'G2', 'G3', 'convergence'],
    what: 'A commit overwrites a record of a greater generation.',
    scripts: (scripts) => ({
      ...scripts,
      commit: (script, request) => {
        const slot = script.partition.slot(request.address.slot);
        const { record } = slot;
        if (
          record?.sealed !== undefined &&
          record.attempt !== request.attempt &&
          record.generation >= request.generation
        )
          slot.record = undefined;
        return scripts.commit(script, request);
      },
    }),
  },
  {
    name: 'floor-is-the-record',
    breaks: ['G1', 'G2', 'G7', 'availability', 'convergence'],
    what: 'A revocation raises the floor to the record that it finds, not above every claim that was made.',
    scripts: (scripts) => ({
      ...scripts,
      revoke: (script, target, index, id, policy, upTo) => {
        const { partition } = script;
        const record = target.kind === 'slot' ? partition.slot(target.slot).record : undefined;
        const floor = record?.generation ?? 0;
        return scripts.revoke(seen(script, { nextGeneration: () => floor }), target, index, id, policy, upTo);
      },
    }),
  },
  {
    name: 'forget-the-claim',
    breaks: ['G1'],
    what: 'The claim is not noted beside the lock: a lock that is lost lets a second call begin.',
    scripts: (scripts) => ({
      ...scripts,
      reserve: (script, request) => {
        const reply = scripts.reserve(script, request);
        if (reply.kind === 'go') script.partition.slot(request.address.slot).flight = undefined;
        return reply;
      },
    }),
  },
  {
    name: 'old-epochs-count',
    breaks: ['G1', 'G2', 'G3', 'convergence'],
    what: 'A record of an epoch that is past still counts.',
    scripts: (scripts) => {
      const renewed = (script: Script, name: string): void => {
        const slot = script.partition.slot(name);
        const { epoch } = script.partition;
        if (slot.record !== undefined && slot.record.epoch !== epoch) slot.record = { ...slot.record, epoch };
      };
      return {
        ...scripts,
        read: (script, address, policy) => {
          renewed(script, address.slot);
          return scripts.read(script, address, policy);
        },
        reserve: (script, request) => {
          renewed(script, request.address.slot);
          return scripts.reserve(script, request);
        },
      };
    },
  },
  {
    name: 'revoked-token-counts-again',
    breaks: ['G2'],
    what: 'An identity provider that caches returns the token that was revoked, and it is taken.',
    scripts: (scripts) => ({
      ...scripts,
      commit: (script, request) =>
        scripts.commit(script, { ...request, tokenHash: `${request.tokenHash} ${request.attempt}` }),
    }),
  },
];

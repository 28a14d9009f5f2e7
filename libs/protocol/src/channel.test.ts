import { describe, expect, it } from 'vitest';
import { pushAdditionalData } from './channel.js';

const BINDING = { slot: 'wTr3vL0pQk9Zx2Yb7Nn8aA', epoch: 1, generation: 2, channelVersion: 3 };

describe('pushAdditionalData', () => {
  it('is a JSON array, so that any language writes the same bytes', () => {
    expect(Buffer.from(pushAdditionalData(BINDING)).toString()).toBe(
      '["token-broker.push.v1","wTr3vL0pQk9Zx2Yb7Nn8aA",1,2,3]',
    );
  });

  it.each([{ slot: 'another' }, { epoch: 9 }, { generation: 9 }, { channelVersion: 9 }, { epoch: 12, generation: 3 }])(
    'differs when any part does: %o',
    (change) => {
      expect(pushAdditionalData({ ...BINDING, ...change })).not.toEqual(pushAdditionalData(BINDING));
    },
  );
});

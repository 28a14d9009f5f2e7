import { createOperator } from '@token-broker/client/operator';
import { TokenBrokerError } from '@token-broker/client';
import type { RevokeReply } from '@token-broker/protocol';
import type { Stack } from '../../integration/stack.js';
import { LEASE_MS, SLACK_MS } from './replicas.js';

/**
 * Revokes while one replica takes requests and answers none: an operator whose order went there asks again. That order is
 * carried out too, when the replica goes on.
 */
export async function revokeBesideSilentReplica(stack: Stack, source: string, tries = 6): Promise<RevokeReply> {
  const connection = await stack.connectAs('ops');
  const operator = createOperator({ connection, caller: 'ops', requestTimeoutMs: LEASE_MS + SLACK_MS });
  for (let left = tries; ; left--) {
    try {
      return await operator.revoke({ selector: { source }, reason: 'a test' });
    } catch (error) {
      if (!(error instanceof TokenBrokerError) || error.code !== 'DEADLINE' || left === 1) throw error;
    }
  }
}

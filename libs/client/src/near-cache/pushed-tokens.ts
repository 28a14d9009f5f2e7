import type { Aead } from '@token-broker/foundation';
import {
  decode,
  isUsualPushedToken,
  LIMITS,
  pushAdditionalData,
  pushedTokenSchema,
  type PushedToken,
  type RefreshedEvent,
} from '@token-broker/protocol';
import type { ChannelKey } from './slot-state.js';

/** A token that came with an event, and was opened with this key. */
interface Opened {
  readonly key: string;
  /** As long as a near cache holds it, and not for longer: nothing here keeps a token that all of them have dropped. */
  readonly token: WeakRef<PushedToken>;
}

/** Of this process. The reading of events is shared, so that near caches which hear of the same one are given the same object. */
const opened = new WeakMap<RefreshedEvent, Opened>();

/**
 * Opens the token that an event brings. `undefined`: there is none, or this key does not open it. The near caches of a process
 * that hear the same event with the same key share the work, and the token: of a hundred of them, one has to decrypt.
 */
export function openPush(aead: Aead, channel: ChannelKey | undefined, event: RefreshedEvent): PushedToken | undefined {
  const { push } = event;
  if (push === undefined || push.channelVersion !== channel?.version) return undefined;
  const known = openedWith(channel, event);
  if (known !== undefined) return known;
  const { slot, epoch, generation } = event;
  const bound = pushAdditionalData({ slot, epoch, generation, channelVersion: push.channelVersion });
  const plain = aead.open(Buffer.from(channel.key, 'base64url'), Buffer.from(push.sealed, 'base64url'), bound);
  if (plain === undefined) return undefined;
  const token = decode(pushedTokenSchema, plain, LIMITS.replyBytes, isUsualPushedToken);
  return token.ok ? token.value : undefined;
}

/** A near cache has taken the token that came with the event, and holds this. */
export function rememberPush(channel: ChannelKey, event: RefreshedEvent, token: PushedToken): void {
  if (openedWith(channel, event) === undefined) opened.set(event, { key: channel.key, token: new WeakRef(token) });
}

function openedWith(channel: ChannelKey, event: RefreshedEvent): PushedToken | undefined {
  const known = opened.get(event);
  return known?.key === channel.key ? known.token.deref() : undefined;
}

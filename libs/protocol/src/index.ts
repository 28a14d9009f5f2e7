export { pushAdditionalData, type PushBinding } from './channel.js';
export { decode, encode, type MessageOf, type MessageSchema } from './decoding.js';
export {
  ERRORS,
  failure,
  isErrorCode,
  TokenBrokerError,
  type ErrorCode,
  type ErrorEntry,
  type Failure,
} from './errors.js';
export { IDENTIFIER_PATTERN, isIdentifier, isSlot } from './identifiers.js';
export { LIMITS } from './limits.js';
export * from './messages/admin.js';
export * from './messages/audit.js';
export * from './messages/describe.js';
export * from './messages/events.js';
export * from './messages/get.js';
export { isUsualTokenReply } from './messages/token-reply.js';
export {
  isUsualHeartbeat,
  isUsualInvalidation,
  isUsualPushedToken,
  isUsualReceipt,
  isUsualRefreshedEvent,
} from './messages/usual-events.js';
export * from './messages/pause.js';
export * from './messages/revoke.js';
export * from './messages/selector.js';
export * from './messages/refresh.js';
export * from './messages/replicas.js';
export * from './messages/sync.js';
export { normaliseScopes, partitionOf, slotOf, subjectHashOf, type TokenParameters } from './slot.js';
export {
  createSubjects,
  DEFAULT_SUBJECT_PREFIX,
  inboxPrefixOf,
  type ParsedSubject,
  type Subjects,
} from './subjects.js';

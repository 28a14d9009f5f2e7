export { explainRdsPassword, type RdsDatabase } from './rds-password.js';
export type { KnownKeys } from './request-signature.js';
export {
  startSecurityTokenService,
  STS_REGION,
  STS_USER,
  type SecurityTokenService,
  type StsBehaviour,
} from './security-token-service.js';

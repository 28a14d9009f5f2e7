import { startSecurityTokenService, type SecurityTokenService } from '@token-broker/testing/aws';
import { onTestFinished } from 'vitest';

/** The region of the endpoint. */
export { STS_REGION as REGION } from '@token-broker/testing/aws';

export type StsEndpoint = SecurityTokenService;

/** A Security Token Service that is stopped when the test ends. */
export async function startSts(): Promise<StsEndpoint> {
  const service = await startSecurityTokenService();
  onTestFinished(() => service.stop());
  return service;
}

import { Redacted } from '@token-broker/foundation';

/** Type of the credentials of AWS, which have three parts. */
export const AWS_CREDENTIALS = 'aws-credentials';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Absent: they are those of a user, and do not end. */
  readonly sessionToken?: string;
}

/** The one text that stands for all three: compact JSON, in the names and the order of `credential_process`. */
export function writeAwsCredentials({ accessKeyId, secretAccessKey, sessionToken }: AwsCredentials): Redacted {
  return new Redacted(
    JSON.stringify({
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      ...(sessionToken === undefined ? {} : { SessionToken: sessionToken }),
    }),
  );
}

/** `undefined`: it is something else. */
export function readAwsCredentials(text: string): AwsCredentials | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const fields = parsed as Readonly<Record<string, unknown>>;
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = fields;
  if (!isPart(accessKeyId) || !isPart(secretAccessKey)) return undefined;
  if (sessionToken === undefined || sessionToken === null || sessionToken === '')
    return { accessKeyId, secretAccessKey };
  return isPart(sessionToken) ? { accessKeyId, secretAccessKey, sessionToken } : undefined;
}

/** All of them go into headers, or are signed with. */
function isPart(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}

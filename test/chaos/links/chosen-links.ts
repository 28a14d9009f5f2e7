import { formatProblems, loadConfiguration, natsPermissions } from '@token-broker/configuration';
import type { NatsUser } from '@token-broker/testing';
import { PASSWORD, startStack, type Settings, type Stack, type StackOptions } from '../../integration/stack.js';

/** Where one broker finds NATS, and Redis where that is another than the stack's own. */
export interface BrokerLinks {
  readonly natsServers: readonly string[];
  readonly redisUrl?: string;
}

/** Takes the users that follow from the configuration, before the first broker connects. */
type SetUsers = (users: readonly NatsUser[]) => Promise<void>;

/**
 * A stack each of whose brokers has links of its own. `linksOf` is called when the stack's servers run and no broker yet;
 * servers beside the stack's own are given their users by `setUsers`.
 */
export async function startStackOver(
  linksOf: (stack: Stack) => Promise<readonly BrokerLinks[]>,
  configure: NonNullable<StackOptions['configure']>,
  setUsers: SetUsers = () => Promise.resolve(),
): Promise<Stack> {
  const stack = await startStack({ brokers: 0, configure });
  const links = await linksOf(stack);
  await setUsers(await usersOf(stack));
  for (const { natsServers, redisUrl } of links) {
    await stack.rewrite((settings) => ({
      ...settings,
      nats: { ...(settings['nats'] as Settings), servers: natsServers },
      ...(redisUrl === undefined ? {} : { redis: { ...(settings['redis'] as Settings), url: redisUrl } }),
    }));
    await stack.addBroker();
  }
  return stack;
}

async function usersOf(stack: Stack): Promise<NatsUser[]> {
  const loaded = await loadConfiguration(stack.configurationPath, { env: process.env });
  if (!loaded.ok) throw new Error(formatProblems(loaded.error.problems, loaded.error.file));
  return natsPermissions(loaded.value.configuration).map(({ user, publish, subscribe }) => ({
    user,
    password: PASSWORD,
    permissions: { publish: [...publish], subscribe: [...subscribe] },
  }));
}

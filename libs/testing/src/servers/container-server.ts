import type { getContainerRuntimeClient as connectToEngine, ImageName, StartedTestContainer } from 'testcontainers';
import { freePort } from './free-port.js';
import type { ServerHost, ServerInstance, ServerRecipe } from './server-instance.js';
import type { ContainerImage, Report } from './server-place.js';

const CONFIGURATION_PATH = '/tmp/token-broker-server.conf';
const DATA_DIRECTORY = '/data';
const START_LIMIT_MS = 60_000;

/** Gets an image unless the engine has it. `testcontainers` is loaded only here: it takes half a second. */
export async function pullContainerImage(image: string, report: Report): Promise<void> {
  const { getContainerRuntimeClient, ImageName: Name } = await import('testcontainers');
  const client = await getContainerRuntimeClient();
  const name: ImageName = Name.fromString(image);
  if (await client.image.exists(name)) return;
  report(`${image}: pulling the image`);
  await client.image.pull(name);
}

/** Runs a server in a container, published on a port of 127.0.0.1. */
export function createContainerHost(place: ContainerImage, recipe: ServerRecipe): ServerHost {
  const site = { host: '0.0.0.0', port: recipe.containerPort, directory: DATA_DIRECTORY };
  const configuration = (): string => recipe.configuration(site);

  const create = async (port: number): Promise<RunningContainer> => {
    const { GenericContainer, Wait, getContainerRuntimeClient } = await import('testcontainers');
    const started = await new GenericContainer(place.image)
      .withCommand([...recipe.args(CONFIGURATION_PATH, site)])
      .withExposedPorts({ container: recipe.containerPort, host: port })
      .withCopyContentToContainer([{ content: configuration(), target: CONFIGURATION_PATH, mode: 0o644 }])
      .withTmpFs({ [DATA_DIRECTORY]: 'rw,mode=1777' })
      .withWaitStrategy(Wait.forLogMessage(recipe.readyLine))
      .withStartupTimeout(START_LIMIT_MS)
      .start();
    const client = await getContainerRuntimeClient();
    return { started, container: client.container.getById(started.getId()) };
  };

  let current: RunningContainer | undefined;
  return {
    async start(port): Promise<ServerInstance> {
      const wanted = port ?? (await freePort());
      if (current === undefined) current = await create(wanted);
      else await current.started.restart({ timeout: 0 });
      const { container } = current;
      const { State: state } = await container.inspect();
      return {
        pid: state.Pid,
        port: wanted,
        exited: container.wait().then(
          () => undefined,
          () => undefined,
        ),
        kill: async (signal) => {
          await container.kill({ signal }).catch(() => undefined);
        },
        log: async () => (await container.logs({ stdout: true, stderr: true, follow: false })).toString('utf8'),
      };
    },
    async writeConfiguration() {
      await current?.started.copyContentToContainer([{ content: configuration(), target: CONFIGURATION_PATH }]);
    },
    async clear() {
      await current?.started.stop();
      current = undefined;
    },
    async dispose() {
      await current?.started.stop();
      current = undefined;
    },
  };
}

type ContainerClient = Awaited<ReturnType<typeof connectToEngine>>['container'];

interface RunningContainer {
  readonly started: StartedTestContainer;
  readonly container: ReturnType<ContainerClient['getById']>;
}

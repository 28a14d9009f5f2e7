import { formatProblems, loadConfiguration, type LoadedConfiguration } from '@token-broker/configuration';
import { CommandFailure } from './command-failure.js';
import { EXIT } from './exit-codes.js';
import type { Printer } from './output/printer.js';
import { counted } from './output/texts.js';
import type { Surroundings } from './surroundings.js';

/** Loads a broker's configuration. @throws {CommandFailure} after all of its problems were printed */
export async function readConfiguration(
  file: string,
  { env }: Pick<Surroundings, 'env'>,
  printer: Printer,
): Promise<LoadedConfiguration> {
  const loaded = await loadConfiguration(file, { env });
  if (loaded.ok) return loaded.value;
  const { problems } = loaded.error;
  printer.note(formatProblems(problems, file));
  throw new CommandFailure(
    {
      code: 'CONFIGURATION',
      message: `${file} has ${counted(problems.length, 'problem')}`,
      remedy: 'Mend what is named and check again; docs/configuration.md is the reference.',
    },
    EXIT.usage,
    { file, problems },
  );
}

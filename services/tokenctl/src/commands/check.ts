import { formatProblems } from '@token-broker/configuration';
import { Command } from 'commander';
import { readConfiguration } from '../configuration-file.js';
import { examples, type Invocation } from '../invocation.js';
import { counted } from '../output/texts.js';

/** `check`: what a broker would say to a configuration, before one has to. */
export function checkCommand(invocation: Invocation): Command {
  return new Command('check')
    .summary('check a configuration file')
    .description(
      'Reads a configuration file as a broker does, with its environment variables and files, and prints every problem at once with its line and column. Connects to nothing.',
    )
    .argument('<file>', 'the configuration file')
    .addHelpText('after', examples('tokenctl check /etc/token-broker/broker.yaml', 'tokenctl check broker.yaml --json'))
    .action(async (file: string, _options: object, command: Command) => {
      const printer = invocation.printer(command);
      const { configuration, warnings } = await readConfiguration(file, invocation.surroundings, printer);
      const { sources, callers } = configuration;
      const result = { valid: true, file, sources: sources.size, callers: callers.size, warnings };
      for (const warning of warnings) printer.warning(formatProblems([warning], file));
      printer.result(
        result,
        (style) =>
          `${file}: ${style.good('valid')}. ${counted(sources.size, 'source')}, ${counted(callers.size, 'caller')}, ${counted(warnings.length, 'warning')}.\n`,
      );
    });
}

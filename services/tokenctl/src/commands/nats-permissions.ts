import { natsPermissions, type NatsUserPermissions } from '@token-broker/configuration';
import { Command, Option } from 'commander';
import { readConfiguration } from '../configuration-file.js';
import { examples, type Invocation } from '../invocation.js';
import { renderAuthorization, renderUsers } from '../output/nats-authorization.js';
import { generatedPasswords, passwordVariables } from '../nats-passwords.js';

interface PermissionOptions {
  readonly format?: 'conf' | 'json';
  readonly passwords: 'env' | 'generate';
}

/** `nats-permissions`: who may publish and subscribe to what, so that the NATS server enforces the callers' policy. */
export function natsPermissionsCommand(invocation: Invocation): Command {
  return new Command('nats-permissions')
    .summary('print the NATS users that follow from `callers:`')
    .description(
      'Prints the users and permissions of the NATS server that follow from a configuration: the broker’s own, and one for each caller. Include it in the configuration of the NATS server, and print it again when `callers:` changes.',
    )
    .argument('<file>', 'the configuration file of the broker')
    .addOption(new Option('--format <form>', 'conf for nats-server, or json (default: conf)').choices(['conf', 'json']))
    .addOption(
      new Option(
        '--passwords <from>',
        'env: the NATS server takes them from its environment; generate: new random ones',
      )
        .choices(['env', 'generate'])
        .default('env'),
    )
    .addHelpText(
      'after',
      examples(
        'tokenctl nats-permissions broker.yaml > authorization.conf   # then: include ./authorization.conf',
        'tokenctl nats-permissions broker.yaml --passwords generate --format json',
      ),
    )
    .action(async (file: string, options: PermissionOptions, command: Command) => {
      const printer = invocation.printer(command);
      const format = options.format ?? (printer.isJson ? 'json' : 'conf');
      const { configuration } = await readConfiguration(file, invocation.surroundings, printer);
      const users: NatsUserPermissions[] = natsPermissions(configuration);
      const names = users.map(({ user }) => user);
      const passwords =
        options.passwords === 'generate'
          ? ({ kind: 'generated', byUser: generatedPasswords(names, invocation.surroundings.random) } as const)
          : ({ kind: 'variables', byUser: passwordVariables(names) } as const);
      const text = format === 'json' ? renderUsers(users, passwords) : renderAuthorization(users, passwords);
      invocation.surroundings.stdout.write(text);
      if (options.passwords === 'generate')
        printer.warning(
          'this output holds new passwords: keep it secret, and give each user its own (the brokers too)',
        );
    });
}

import { resolve } from 'node:path';
import { Command } from 'commander';
import { usageFailure } from '../command-failure.js';
import { checkConnectionOptions, type GlobalOptions } from '../connection-settings.js';
import { CONTEXT_FIELDS, withContext, withoutContext, type Context, type Contexts } from '../contexts/context.js';
import { requireContext, tokensOf } from '../contexts/own-contexts.js';
import { dropCached } from '../dropped-tokens.js';
import { checkedUrl } from '../http-settings.js';
import { examples, type Invocation } from '../invocation.js';
import { requireContextName } from '../option-parsers.js';
import { printable } from '../output/style.js';
import { renderTable } from '../output/table.js';

/** `context`: connection options under names. Connects to nothing. */
export function contextCommand(invocation: Invocation): Command {
  return new Command('context')
    .summary('keep connection options under names')
    .description(
      'Keeps connection options under names, so that --context prod says them all. Passwords and seeds are never kept: a context names their files, or the environment has them.',
    )
    .addHelpText(
      'after',
      examples(
        'tokenctl context add prod --server tls://nats.example.com --user ops --password-file ./ops.password',
        'tokenctl context use prod',
        'tokenctl --context prod status',
      ),
    )
    .addCommand(addCommand(invocation))
    .addCommand(useCommand(invocation))
    .addCommand(listCommand(invocation))
    .addCommand(showCommand(invocation))
    .addCommand(removeCommand(invocation));
}

function addCommand(invocation: Invocation): Command {
  return new Command('add')
    .summary('keep the given connection options under a name')
    .description(
      'Keeps the connection options of this command line, not those of the environment. One of the same name is replaced. The first one is used at once.',
    )
    .argument('<name>', 'of the context')
    .action(async (given: string, _options: object, command: Command) => {
      const context = contextOf(requireContextName(given), command.optsWithGlobals<GlobalOptions>());
      let isReplaced = false;
      let current: string | undefined;
      await invocation.contexts.change((contexts) => {
        isReplaced = contexts.all.some(({ name }) => name === context.name);
        current = contexts.all.length === 0 ? context.name : contexts.current;
        return { ...withContext(contexts, context), current };
      });
      const isCurrent = current === context.name;
      const printer = invocation.printer(command);
      printer.result(
        { ...context, current: isCurrent, replaced: isReplaced },
        () =>
          `${isReplaced ? 'Replaced' : 'Added'}: ${context.name}${isCurrent ? ', which is used where no other is named' : ''}.\n`,
      );
    });
}

function useCommand(invocation: Invocation): Command {
  return new Command('use')
    .summary('use a context where no other is named')
    .argument('<name>', 'of the context')
    .action(async (given: string, _options: object, command: Command) => {
      const name = requireContextName(given);
      await invocation.contexts.change((contexts) => ({ ...contexts, current: requireContext(contexts, name).name }));
      invocation.printer(command).result({ current: name }, () => `Using: ${name}.\n`);
    });
}

function listCommand(invocation: Invocation): Command {
  return new Command('list').summary('list them').action(async (_options: object, command: Command) => {
    const { current, all } = await invocation.contexts.read();
    const contexts = all.map((context) => ({ ...context, current: context.name === current }));
    invocation.printer(command).result({ contexts }, () => renderContexts({ current, all }));
  });
}

function showCommand(invocation: Invocation): Command {
  return new Command('show')
    .summary('show one')
    .argument('[name]', 'of the context; without it the one that counts now')
    .action(async (given: string | undefined, _options: object, command: Command) => {
      const { contexts } = invocation;
      const option = given === undefined ? command.optsWithGlobals<GlobalOptions>().context : requireContextName(given);
      const context = await contexts.chosen(option);
      if (context === undefined)
        throw usageFailure('no context is in use', 'Name one, or let one be used: `tokenctl context use NAME`.');
      const isCurrent = (await contexts.read()).current === context.name;
      invocation.printer(command).result({ ...context, current: isCurrent }, () =>
        Object.entries(context)
          .map(([field, text]) => `${field.padEnd(13)}${printable(text)}\n`)
          .join(''),
      );
    });
}

function removeCommand(invocation: Invocation): Command {
  return new Command('remove')
    .summary('forget one, and the tokens that were fetched in it')
    .argument('<name>', 'of the context')
    .action((given: string, _options: object, command: Command) => removeContext(invocation, command, given));
}

/** Forgets a context and its tokens. */
export async function removeContext(invocation: Invocation, command: Command, given: string): Promise<void> {
  const name = requireContextName(given);
  const context = requireContext(await invocation.contexts.read(), name);
  // The tokens first: without the context nobody would know whose they are.
  await dropCached(invocation, command, tokensOf(context));
  await invocation.contexts.change((contexts) => withoutContext(contexts, name));
  invocation.printer(command).result({ removed: name }, () => `Forgotten: ${name}, and its tokens on this machine.\n`);
}

function contextOf(name: string, options: GlobalOptions): Context {
  checkConnectionOptions(options);
  if (options.url !== undefined) checkedUrl(options.url);
  const given = Object.fromEntries(
    CONTEXT_FIELDS.flatMap((field) => (options[field] === undefined ? [] : [[field, options[field]]])),
  );
  if (Object.keys(given).length === 0)
    throw usageFailure('it is not said what to keep', 'Give connection options, such as --server and --user.');
  for (const file of ['passwordFile', 'creds', 'nkeyFile', 'tlsCa', 'tokenFile', 'tlsCert', 'tlsKey'] as const) {
    if (given[file] === '-')
      throw usageFailure('a context cannot keep standard input', 'Name a file, or give "-" when the context is used.');
    // A context is used from other directories.
    if (given[file] !== undefined) given[file] = resolve(given[file]);
  }
  return { name, ...given };
}

function renderContexts({ current, all }: Contexts): string {
  if (all.length === 0) return 'There is no context.\n';
  const columns = [
    { heading: '' },
    { heading: 'NAME' },
    { heading: 'SERVER' },
    { heading: 'LOGIN' },
    { heading: 'CALLER' },
  ];
  const rows = all.map(({ name, server, url, user, creds, nkeyFile, tokenFile, tlsCert, caller }) => [
    name === current ? '*' : '',
    name,
    ...[server ?? url, user ?? creds ?? nkeyFile ?? tokenFile ?? tlsCert, caller ?? user].map((text) =>
      printable(text ?? '-'),
    ),
  ]);
  return renderTable(columns, rows);
}

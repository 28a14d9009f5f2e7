import type { CommandFailure } from '../command-failure.js';
import type { Surroundings } from '../surroundings.js';
import { createStyle, printable, type Style } from './style.js';

/**
 * Results go to standard output, all else to standard error. With `--json` there is one JSON object on standard output,
 * whether it worked or not, and nothing for people but progress and prompts.
 */
export interface Printer {
  readonly isJson: boolean;
  readonly style: Style;
  /** The result: an object for machines, a text for people. */
  result(object: object, text: (style: Style) => string): void;
  /** Something that people should know beside the result; machines find it in the object. */
  note(text: string): void;
  warning(text: string): void;
  /** Something that nobody needs to know but whoever asked for it by `--verbose`, also with `--json`. */
  debug(text: string): void;
  failure(failure: CommandFailure): void;
}

export interface PrinterOptions {
  readonly json: boolean;
  readonly color: boolean;
  readonly verbose: boolean;
}

type Streams = Pick<Surroundings, 'stdout' | 'stderr' | 'env'>;

export function createPrinter({ stdout, stderr, env }: Streams, options: PrinterOptions): Printer {
  const mayColour = options.color && (env['NO_COLOR'] ?? '') === '';
  const style = createStyle(mayColour && stdout.isTTY);
  const asideStyle = createStyle(mayColour && stderr.isTTY);
  const line = (text: string): void => {
    if (!options.json) stderr.write(`${text}\n`);
  };
  return {
    isJson: options.json,
    style,
    result(object, text) {
      stdout.write(options.json ? `${JSON.stringify(object)}\n` : text(style));
    },
    note: line,
    warning(text) {
      line(`${asideStyle.warn('warning:')} ${text}`);
    },
    debug(text) {
      if (options.verbose) stderr.write(`${asideStyle.dim(`debug: ${printable(text)}`)}\n`);
    },
    failure({ code, message, remedy, details }) {
      if (options.json) {
        stdout.write(`${JSON.stringify({ error: { code, message, remedy, ...details } })}\n`);
        return;
      }
      line(`${asideStyle.bad('error:')} ${printable(message)} ${asideStyle.dim(`[${code}]`)}`);
      line(printable(remedy));
    },
  };
}

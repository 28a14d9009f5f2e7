/** Emphasis on a terminal; without colour each gives the text as it is. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
}

const RESET = '\u001b[0m';

export function createStyle(coloured: boolean): Style {
  const by =
    (sequence: string) =>
    (text: string): string =>
      coloured && text !== '' ? `\u001b[${sequence}m${text}${RESET}` : text;
  return { bold: by('1'), dim: by('2'), good: by('32'), warn: by('33'), bad: by('31') };
}

/** Text of others, such as a broker's message, without what would steer the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}

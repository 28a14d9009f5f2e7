import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml';
import type { Finding, Path } from './problems.js';

export interface Position {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1. */
  readonly column: number;
}

/** A YAML text as plain data that still knows the line of everything in it. */
export interface PositionedDocument {
  readonly data: unknown;
  /** False: the text is not YAML, and `data` says nothing. */
  readonly wellFormed: boolean;
  readonly syntaxProblems: readonly (Omit<Finding, 'path'> & Position & { readonly path: Path })[];
  /** The position of the value at `path`, or of the nearest thing around it when there is none. */
  positionOf(path: Path, atKey?: boolean): Position;
}

export function readDocument(text: string): PositionedDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, version: '1.2' });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const syntaxProblems = [...document.errors, ...document.warnings].map((error) => ({
    ...at(error.pos[0]),
    path: error.code === 'DUPLICATE_KEY' ? pathAt(document, error.pos[0]) : [],
    ...describe(error.code, lineAt(text, error.pos[0])),
  }));
  let wellFormed = document.errors.every(({ code }) => code === 'DUPLICATE_KEY');
  let data: unknown;
  if (wellFormed) {
    try {
      data = document.toJS({ maxAliasCount: 100 });
    } catch {
      wellFormed = false;
      syntaxProblems.push({
        line: 1,
        column: 1,
        path: [],
        message: 'an alias cannot be resolved, or there are too many',
      });
    }
  }
  return {
    data,
    wellFormed,
    syntaxProblems,
    positionOf: (path, atKey = false) => at(offsetOf(document, path, atKey)),
  };
}

/** The parser's own messages can quote the text around the mistake, which may be a secret: they are not passed on. */
function describe(code: string, line: string): { message: string; hint?: string } {
  if (code === 'DUPLICATE_KEY') return { message: 'is given twice', hint: 'names and settings are unique' };
  if (line.includes('${')) return { message: SYNTAX[code] ?? NOT_YAML, hint: 'put values with ${…} in quotes' };
  return { message: SYNTAX[code] ?? NOT_YAML };
}

const NOT_YAML = 'malformed YAML';

const SYNTAX: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'malformed YAML: an alias (*name) without its anchor (&name)',
  BAD_DQ_ESCAPE: 'malformed YAML: an escape that double quotes do not know',
  BAD_INDENT: 'malformed YAML: wrong indentation',
  BAD_SCALAR_START: 'malformed YAML: a plain value cannot begin like this; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'malformed YAML: a nested mapping on the same line',
  BLOCK_IN_FLOW: 'malformed YAML: a block inside { } or [ ]',
  MISSING_CHAR: 'malformed YAML: a closing quote, bracket, comma or colon is missing',
  MULTILINE_IMPLICIT_KEY: 'malformed YAML: a key over several lines, or a colon is missing',
  MULTIPLE_DOCS: 'malformed YAML: one document only, without a second "---"',
  NON_STRING_KEY: 'malformed YAML: a key that is not text',
  TAB_AS_INDENT: 'malformed YAML: a tab in the indentation; use spaces',
  TAG_RESOLVE_FAILED: 'malformed YAML: tags (!name) are not used here',
  UNEXPECTED_TOKEN: 'malformed YAML: unexpected text',
};

function lineAt(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', Math.max(0, offset - 1)) + 1;
  const end = text.indexOf('\n', offset);
  return text.slice(start, end === -1 ? undefined : end);
}

function offsetOf(document: Document.Parsed, path: Path, atKey: boolean): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, part] of path.entries()) {
    const container = isAlias(node) ? node.resolve(document) : node;
    if (isMap(container)) {
      const pair = container.items.find(({ key }) => keyText(key) === String(part));
      if (pair === undefined) return offset;
      const last = index === path.length - 1;
      const isBlock = isMap(pair.value) || isSeq(pair.value);
      // A mapping is best pointed at by its key; a plain value by itself.
      const keyOffset = startOf(pair.key) ?? offset;
      offset = (last && atKey) || isBlock ? keyOffset : (startOf(pair.value) ?? keyOffset);
      node = pair.value;
    } else if (isSeq(container)) {
      node = container.items[Number(part)];
      offset = startOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

/** The path of the key that begins at an offset. */
function pathAt(document: Document.Parsed, offset: number): Path {
  const search = (node: unknown, path: Path): Path | undefined => {
    const children: (readonly [string | number, unknown])[] = [];
    if (isMap(node)) {
      for (const pair of node.items) {
        const key = keyText(pair.key);
        if (startOf(pair.key) === offset) return [...path, key];
        children.push([key, pair.value]);
      }
    } else if (isSeq(node)) {
      node.items.forEach((item, index) => children.push([index, item]));
    }
    for (const [part, child] of children) {
      const found = search(child, [...path, part]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(document.contents, []) ?? [];
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

function startOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined;
  const range: unknown = node.range;
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : undefined;
}

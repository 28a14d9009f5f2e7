import type { z } from 'zod';
import type { Finding, Path } from './problems.js';
import { decodeRefusal } from './settings.js';
import { suggestionOrList } from './suggestion.js';

type Issue = z.core.$ZodIssue;

/** What zod found, in the words of the file's author. */
export function findingsOf(issues: readonly Issue[], base: Path = []): Finding[] {
  return issues.flatMap((issue) => findingsOfIssue(issue, [...base, ...issue.path.map(partOf)]));
}

function findingsOfIssue(issue: Issue, path: Path): Finding[] {
  if (issue.code === 'unrecognized_keys') {
    // `settings` puts the keys that it knows where zod wants a message.
    const known = issue.message.split(' ');
    return issue.keys.map((key) => {
      const hint = suggestionOrList(key, known);
      return { path: [...path, key], message: 'unknown key', atKey: true, ...(hint === undefined ? {} : { hint }) };
    });
  }
  if (issue.code === 'invalid_union') {
    const meant = issue.errors.find((branch) => branch.length > 0 && !branch.some(isWrongKind));
    if (meant !== undefined) return findingsOf(meant, path);
  }
  return [{ path, ...decodeRefusal(issue.message) }];
}

/** The author cannot have meant this branch of a union: it is of another kind altogether. */
function isWrongKind(issue: Issue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.message.startsWith('expected '));
}

function partOf(part: PropertyKey): string | number {
  return typeof part === 'number' ? part : String(part);
}

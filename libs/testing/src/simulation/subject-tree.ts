/** How many subjects the answers are kept for. */
const MAX_ANSWERS = 2_000;

/** Replies go to subjects that never come again. */
const INBOX = '_INBOX.';

/** A subscription as the server files it. */
export interface Filed {
  readonly subject: string;
  /** The queue group that it belongs to; `''`: none. */
  readonly queue: string;
}

/** Who gets a message: each of `all`, and one member of each group. */
export interface Recipients<Entry> {
  readonly all: readonly Entry[];
  readonly groups: readonly (readonly Entry[])[];
}

interface Branch<Entry> {
  readonly entries: Set<Entry>;
  readonly next: Map<string, Branch<Entry>>;
}

/** Subscriptions by their subjects, token by token; `*` stands for one token, `>` for one or more at the end. */
export class SubjectTree<Entry extends Filed> {
  readonly #root = branch<Entry>();
  readonly #answers = new Map<string, Recipients<Entry>>();

  add(entry: Entry): void {
    let at = this.#root;
    for (const token of entry.subject.split('.')) {
      let next = at.next.get(token);
      if (next === undefined) at.next.set(token, (next = branch()));
      at = next;
    }
    at.entries.add(entry);
    this.#answers.clear();
  }

  remove(entry: Entry): void {
    const path: [Branch<Entry>, string][] = [];
    let at: Branch<Entry> | undefined = this.#root;
    for (const token of entry.subject.split('.')) {
      path.push([at, token]);
      at = at.next.get(token);
      if (at === undefined) return;
    }
    at.entries.delete(entry);
    for (const [parent, token] of path.reverse()) {
      const child = parent.next.get(token);
      if (child === undefined || child.entries.size > 0 || child.next.size > 0) break;
      parent.next.delete(token);
    }
    this.#answers.clear();
  }

  match(subject: string): Recipients<Entry> {
    const known = this.#answers.get(subject);
    if (known !== undefined) return known;
    const all: Entry[] = [];
    const groups = new Map<string, Entry[]>();
    const take = (entries: ReadonlySet<Entry>): void => {
      for (const entry of entries) {
        if (entry.queue === '') all.push(entry);
        else {
          const group = groups.get(entry.queue);
          if (group === undefined) groups.set(entry.queue, [entry]);
          else group.push(entry);
        }
      }
    };
    visit(this.#root, subject.split('.'), 0, take);
    const answer = { all, groups: [...groups.values()] };
    if (subject.startsWith(INBOX)) return answer;
    if (this.#answers.size >= MAX_ANSWERS) this.#answers.clear();
    this.#answers.set(subject, answer);
    return answer;
  }
}

function visit<Entry>(
  at: Branch<Entry>,
  tokens: readonly string[],
  index: number,
  take: (entries: ReadonlySet<Entry>) => void,
): void {
  const token = tokens[index];
  if (token === undefined) {
    take(at.entries);
    return;
  }
  const rest = at.next.get('>');
  if (rest !== undefined) take(rest.entries);
  const any = at.next.get('*');
  if (any !== undefined) visit(any, tokens, index + 1, take);
  const literal = at.next.get(token);
  if (literal !== undefined) visit(literal, tokens, index + 1, take);
}

function branch<Entry>(): Branch<Entry> {
  return { entries: new Set(), next: new Map() };
}

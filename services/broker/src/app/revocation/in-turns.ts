/** Works on all items, at most `atOnce` at a time, and resolves to what came of each, in their order. */
export async function inTurns<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  if (items.length <= atOnce) return Promise.all(items.map(work));
  const results = new Array<R>(items.length);
  const waiting = items.entries();
  const turn = async (): Promise<void> => {
    for (const [index, item] of waiting) results[index] = await work(item, index);
  };
  await Promise.all(Array.from({ length: atOnce }, turn));
  return results;
}

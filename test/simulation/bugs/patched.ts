/** Replaces methods of a prototype until the returned function is called. */
export function patched<T extends object>(prototype: T, change: (before: T) => Partial<T>): () => void {
  const before = {} as T;
  const descriptors = Object.getOwnPropertyDescriptors(prototype);
  Object.defineProperties(before, descriptors);
  const changed = change(before);
  for (const name of Object.keys(changed)) {
    const value: unknown = changed[name as keyof T];
    Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
  }
  return () => {
    for (const name of Object.keys(changed)) {
      const descriptor = descriptors[name as keyof typeof descriptors] as PropertyDescriptor | undefined;
      if (descriptor !== undefined) Object.defineProperty(prototype, name, descriptor);
    }
  };
}

/** Numbers as they come up: two worlds with different clocks tell the same story. */
export class Names {
  readonly #values: number[] = [];

  of(value: number): string {
    if (value === 0) return '0';
    if (!this.#values.includes(value)) this.#values.push(value);
    return `#${String(this.#values.indexOf(value))}`;
  }

  /** The names in the order of their numbers. */
  get order(): string {
    return this.#values
      .map((value, index) => ({ value, index }))
      .sort((a, b) => a.value - b.value)
      .map(({ index }) => `#${String(index)}`)
      .join(' ');
  }
}

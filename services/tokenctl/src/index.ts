/** `tokenctl` is a program, `main.js` beside this entrance, and offers nothing to import. */
export {};

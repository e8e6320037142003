/** The names and indices of a path: `phases[0].batchSize`. */
export const stepsOf = (fieldPath: string): (string | number)[] =>
  [...fieldPath.matchAll(/\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.[\]]+)/g)].map(([, index, key, name]) =>
    index === undefined ? (key ?? name ?? "") : Number(index),
  );

/** True if a field is another one, or part of it: `teachers[0].model` is part of `teachers[0]` and of `teachers`. */
export const isWithin = (fieldPath: string, whole: string): boolean =>
  fieldPath === whole || (fieldPath.startsWith(whole) && /^[.[]/.test(fieldPath.slice(whole.length)));

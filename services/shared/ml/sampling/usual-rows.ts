/** Most sequences that a student writes together, unless its process is told otherwise. */
export const usualRows = 64;

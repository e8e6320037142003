/** A number of nats for people. */
export const nats = (x: number | undefined): string => (x === undefined ? "–" : x.toFixed(3));

/**
 * Counter-based random numbers: each is a pure function of a seed and its position, so that what is drawn does not
 * depend on the order of drawing, on batching or on the number of workers.
 * Mixing function: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
 */
const mask = (1n << 64n) - 1n;
const golden = 0x9e3779b97f4a7c15n;

function mix(x: bigint): bigint {
  let z = x & mask;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
  return z ^ (z >> 31n);
}

/** A 64-bit seed that (seed, path) names; different paths give unrelated seeds. */
export function deriveSeed(seed: bigint, ...path: readonly (number | bigint)[]): bigint {
  let state = mix(seed + golden);
  for (const part of path) state = mix(state ^ mix(BigInt(part) + golden));
  return state;
}

/** A number in [0, 1) with 24 random bits (exact in float32), a function of (seed, path). */
export function uniform(seed: bigint, ...path: readonly (number | bigint)[]): number {
  return Number(deriveSeed(seed, ...path) >> 40n) / 2 ** 24;
}

/** A stream of 32-bit numbers for bulk use (weights): xoshiro128** seeded from 64 bits (Blackman, Vigna 2018). */
export function generator(seed: bigint): () => number {
  const words = [0, 1].map((i) => deriveSeed(seed, i));
  const s = Uint32Array.from(words.flatMap((word) => [Number(word & 0xffffffffn), Number(word >> 32n)]));
  const rotate = (x: number, k: number) => ((x << k) | (x >>> (32 - k))) >>> 0;
  return () => {
    const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = rotate(s[3]!, 11);
    return result;
  };
}

/** `count` draws from the normal distribution with mean 0 and the given standard deviation (Box–Muller). */
export function normals(seed: bigint, count: number, deviation: number): Float32Array {
  const next = generator(seed);
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log((next() + 1) / 2 ** 32));
    const angle = (2 * Math.PI * next()) / 2 ** 32;
    out[i] = radius * Math.cos(angle);
    if (i + 1 < count) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

/** The numbers 0..count-1 in a random order that the seed names (Fisher–Yates). */
export function permutation(seed: bigint, count: number): Uint32Array {
  const next = generator(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((next() / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

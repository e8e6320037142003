/** States of {@link sparseHash} after so many blocks of zeros: matrices of one shape begin alike. */
const afterZeros = new Map<number, Int32Array>();

/**
 * MurmurHash3_x86_128 (Austin Appleby, public domain), seed 0, of words that are zeros but for one: the first 64 bits, the lowest three
 * of them cleared, as the runtime names what it has laid out (PrePackedWeights::GetHash).
 *
 * @param words a multiple of 4
 * @param at where the one is
 */
export function sparseHash(words: number, at: number, word: number): bigint {
  const before = at >> 2;
  const zeros = afterZeros.get(before) ?? addZeros(new Int32Array(4), before);
  afterZeros.set(before, zeros);
  const state = zeros.slice();
  addBlock(state, [0, 0, 0, 0].with(at & 3, word));
  addZeros(state, (words >> 2) - before - 1);
  for (let lane = 0; lane < 4; lane++) state[lane]! ^= words * 4;
  addLanes(state);
  for (let lane = 0; lane < 4; lane++) state[lane] = avalanche(state[lane]!);
  addLanes(state);
  const [low, high] = new Uint32Array(state.buffer) as unknown as [number, number];
  return (BigInt(high) << 32n) | BigInt((low & ~7) >>> 0);
}

const rotated = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

const factors = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93] as const;
const turns = [15, 16, 17, 18] as const;

const summands = [0x561ccd1b, 0x0bcaa747, 0x96cd1c35, 0x32ac3b17] as const;
const steps = [19, 17, 15, 13] as const;

/** Four words. A lane goes on from the next one as it is then: the last from the first as the block has left it. */
function addBlock(state: Int32Array, block: readonly number[]): void {
  for (const [lane, word] of block.entries()) {
    const next = (lane + 1) & 3;
    const spread = Math.imul(rotated(Math.imul(word, factors[lane]!), turns[lane]!), factors[next]!);
    state[lane] = Math.imul(rotated(state[lane]! ^ spread, steps[lane]!) + state[next]!, 5) + summands[lane]!;
  }
}

/** As {@link addBlock}, of blocks of zeros, of which a model's weights have millions. */
function addZeros(state: Int32Array, blocks: number): Int32Array {
  let [a, b, c, d] = state as unknown as [number, number, number, number];
  for (let i = 0; i < blocks; i++) {
    a = (Math.imul((rotated(a, 19) + b) | 0, 5) + 0x561ccd1b) | 0;
    b = (Math.imul((rotated(b, 17) + c) | 0, 5) + 0x0bcaa747) | 0;
    c = (Math.imul((rotated(c, 15) + d) | 0, 5) + 0x96cd1c35) | 0;
    d = (Math.imul((rotated(d, 13) + a) | 0, 5) + 0x32ac3b17) | 0;
  }
  state.set([a, b, c, d]);
  return state;
}

/** Every lane becomes a sum: the first of all, each other one of itself and the first. */
function addLanes(state: Int32Array): void {
  state[0] = state[0]! + state[1]! + state[2]! + state[3]!;
  for (let lane = 1; lane < 4; lane++) state[lane]! += state[0]!;
}

function avalanche(lane: number): number {
  let x = lane;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

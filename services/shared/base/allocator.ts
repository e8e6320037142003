/** glibc's parameters of mallopt. */
const parameters = { trimThreshold: -1, mmapThreshold: -3 } as const;

/** The largest block that glibc may be told to take from its heap, on 64 bits; its own rule ends there too. */
const largestInHeap = 32 << 20;
/** What it takes for large before it has learnt anything. */
const smallestApart = 128 << 10;

interface Allocator {
  readonly trim: (kept: number) => number;
  readonly set: (parameter: number, value: number) => number;
}

let known: Promise<Allocator | undefined> | undefined;

/** How many works of this thread ask for blocks of their own. */
let apart = 0;

/** Gives the system what glibc keeps of freed memory, below something that is in use; elsewhere it does nothing. */
export async function trimMemory(): Promise<void> {
  (await allocator())?.trim(0);
}

/**
 * Does work that makes large blocks to stay: glibc takes each from the system by itself meanwhile. In its heap it puts them between what
 * is freed again, which stays behind as holes: 60 MB of a model of 135M weights; and its heap grows by small steps, each of which it asks
 * for, so that such a model takes 0.7 s longer to be opened. After the work blocks come from the heap, as they do where glibc has seen
 * large ones freed: memory that is freed and wanted again in each run is not asked for anew. Elsewhere it just does the work.
 */
export async function inBlocksApart<T>(work: () => Promise<T>): Promise<T> {
  const glibc = await allocator();
  apart++;
  glibc?.set(parameters.mmapThreshold, smallestApart);
  try {
    return await work();
  } finally {
    if (--apart === 0) {
      glibc?.set(parameters.mmapThreshold, largestInHeap);
      // Once one of them was told, glibc's rule for the other, twice as much, holds no more.
      glibc?.set(parameters.trimThreshold, 2 * largestInHeap);
    }
  }
}

const allocator = (): Promise<Allocator | undefined> => (known ??= findAllocator());

/** @returns undefined where it isn't glibc that allocates */
async function findAllocator(): Promise<Allocator | undefined> {
  try {
    const { default: koffi } = await import("./foreign.js");
    const library = koffi.load(null);
    return {
      trim: library.func("int malloc_trim(size_t kept)") as Allocator["trim"],
      set: library.func("int mallopt(int parameter, int value)") as Allocator["set"],
    };
  } catch {
    return undefined;
  }
}

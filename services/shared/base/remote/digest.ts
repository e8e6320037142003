import { createHash } from "node:crypto";

/** What a file's bytes must hash to, by whatever the place that has it counts. */
export type Expected =
  | { readonly algorithm: "sha256" | "md5"; readonly digest: string }
  /** SHA-1 of a header with the size and the bytes, as git hashes a blob. */
  | { readonly algorithm: "git"; readonly digest: string; readonly size: number }
  /** MD5 of the parts' MD5s, a dash, and how many parts there are: an ETag of S3's uploads in parts of one size. */
  | { readonly algorithm: "md5-parts"; readonly digest: string; readonly partBytes: number }
  /** Nothing that can be compared is known; only the size is. */
  | { readonly algorithm: "none" };

/** A hash that is given bytes as they come. */
export interface Digester {
  update(bytes: Uint8Array): void;
  /** Hexadecimal; undefined where nothing is compared. */
  digest(): string | undefined;
}

/** Begins to hash what should come out as expected. */
export function digesterOf(expected: Expected): Digester {
  if (expected.algorithm === "none") return { update: () => {}, digest: () => undefined };
  if (expected.algorithm === "md5-parts") return new PartsDigester(expected.partBytes);
  if (expected.algorithm === "git") {
    const hash = createHash("sha1").update(`blob ${expected.size}\0`);
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") };
  }
  const hash = createHash(expected.algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") };
}

class PartsDigester implements Digester {
  readonly #partBytes: number;
  readonly #whole = createHash("md5");
  #part = createHash("md5");
  #inPart = 0;
  #parts = 0;

  constructor(partBytes: number) {
    this.#partBytes = partBytes;
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + this.#partBytes - this.#inPart);
      this.#part.update(piece);
      at += piece.length;
      this.#inPart += piece.length;
      if (this.#inPart === this.#partBytes) this.#endPart();
    }
  }

  digest(): string {
    if (this.#inPart > 0) this.#endPart();
    return `${this.#whole.digest("hex")}-${this.#parts}`;
  }

  #endPart(): void {
    this.#whole.update(this.#part.digest());
    this.#part = createHash("md5");
    this.#inPart = 0;
    this.#parts++;
  }
}

/** How the elements of a tensor are stored: in blocks, one behind the other. */
export interface BlockFormat {
  /** Elements of a block. */
  readonly elements: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /**
   * Elements of whole blocks as float32, as ggml dequantises them.
   *
   * @param bytes the blocks, at any address
   * @param out as many elements as the blocks have
   */
  readonly decode: (bytes: Uint8Array, out: Float32Array) => void;
}

/** What an encoder-decoder has beside a decoder's config. */
export interface EncoderDecoder {
  /** Layers of the encoder. */
  readonly encoderLayers: number;
  /** Buckets of the relative position biases, and the distance from which all are in the last one. */
  readonly buckets: number;
  readonly maxDistance: number;
  /** The feed-forward parts have a gate. */
  readonly gated: boolean;
  /** The token that every completion begins behind. */
  readonly startId: number;
}

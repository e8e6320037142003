/** A value of the metadata with its type, by the names of the format. */
export type TypedValue =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly u64: bigint }
  | { readonly texts: readonly string[] }
  | { readonly i32s: readonly number[] }
  | { readonly f32s: readonly number[] };

/** A tensor: its dimensions as a Hugging Face directory has them, the number of its type, and its bytes. */
export interface PlainTensor {
  readonly shape: readonly number[];
  readonly type?: number;
  readonly bytes?: Uint8Array;
}

/** What a GGUF file for tests holds. */
export interface PlainGguf {
  readonly metadata: Readonly<Record<string, TypedValue | undefined>>;
  readonly tensors?: Readonly<Record<string, PlainTensor>>;
  readonly version?: number;
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const f32 = (value: number): Buffer => Buffer.from(Float32Array.of(value).buffer);
const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const list = (type: number, items: readonly Buffer[]): Buffer => Buffer.concat([u32(9), u32(type), u64(items.length), ...items]);

function valueBytes(value: TypedValue): Buffer {
  if ("u32" in value) return Buffer.concat([u32(4), u32(value.u32)]);
  if ("f32" in value) return Buffer.concat([u32(6), f32(value.f32)]);
  if ("bool" in value) return Buffer.concat([u32(7), Buffer.of(value.bool ? 1 : 0)]);
  if ("text" in value) return Buffer.concat([u32(8), text(value.text)]);
  if ("u64" in value) return Buffer.concat([u32(10), u64(value.u64)]);
  if ("texts" in value) return list(8, value.texts.map(text));
  if ("i32s" in value) return list(5, value.i32s.map(u32));
  return list(6, value.f32s.map(f32));
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);

/** The bytes of a GGUF file; tensors without bytes are float32 zeros. */
export function ggufBytes({ metadata, tensors = {}, version = 3 }: PlainGguf): Buffer {
  const entries = Object.entries(metadata).flatMap(([key, value]) => (value ? [[key, value] as const] : []));
  const bodies = Object.values(tensors).map(({ shape, bytes }) =>
    padded(Buffer.from(bytes ?? new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)))),
  );
  let offset = 0;
  const infos = Object.entries(tensors).map(([name, { shape, type = 0 }], i) => {
    const info = Buffer.concat([text(name), u32(shape.length), ...[...shape].reverse().map(u64), u32(type), u64(offset)]);
    offset += bodies[i]!.length;
    return info;
  });
  const head = [Buffer.from("GGUF"), u32(version), u64(infos.length), u64(entries.length)];
  const pairs = entries.map(([key, value]) => Buffer.concat([text(key), valueBytes(value)]));
  return Buffer.concat([padded(Buffer.concat([...head, ...pairs, ...infos])), ...bodies]);
}

const layer = { attn_norm: [8], attn_q: [8, 8], attn_k: [4, 8], attn_v: [4, 8], attn_output: [8, 8], ffn_norm: [8] };
const feedForward = { ffn_gate: [16, 8], ffn_up: [16, 8], ffn_down: [8, 16] };
const outside = { token_embd: [6, 8], output_norm: [8] };

/** A Llama of one layer, heads of four, and a byte-level tokenizer of six tokens. */
export const smallGguf = {
  metadata: {
    "general.architecture": { text: "llama" },
    "llama.context_length": { u32: 32 },
    "llama.embedding_length": { u32: 8 },
    "llama.block_count": { u32: 1 },
    "llama.feed_forward_length": { u32: 16 },
    "llama.attention.head_count": { u32: 2 },
    "llama.attention.head_count_kv": { u32: 1 },
    "llama.attention.layer_norm_rms_epsilon": { f32: 1e-5 },
    "tokenizer.ggml.model": { text: "gpt2" },
    "tokenizer.ggml.pre": { text: "gpt-2" },
    "tokenizer.ggml.tokens": { texts: ["<s>", "</s>", "a", "b", "ab", "<x>"] },
    "tokenizer.ggml.token_type": { i32s: [3, 3, 1, 1, 1, 4] },
    "tokenizer.ggml.merges": { texts: ["a b"] },
    "tokenizer.ggml.bos_token_id": { u32: 0 },
    "tokenizer.ggml.eos_token_id": { u32: 1 },
  } as Readonly<Record<string, TypedValue | undefined>>,
  tensors: Object.fromEntries([
    ...Object.entries(outside).map(([name, shape]) => [`${name}.weight`, { shape }] as const),
    ...Object.entries({ ...layer, ...feedForward }).map(([name, shape]) => [`blk.0.${name}.weight`, { shape }] as const),
  ]) as Readonly<Record<string, PlainTensor>>,
};

/** {@link smallGguf} with other metadata and tensors; undefined takes a key away. */
export const changedGguf = (metadata: PlainGguf["metadata"], tensors: Readonly<Record<string, PlainTensor>> = {}): Buffer =>
  ggufBytes({ metadata: { ...smallGguf.metadata, ...metadata }, tensors: { ...smallGguf.tensors, ...tensors } });

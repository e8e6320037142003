import type { Fields } from "./fields.js";

/**
 * How a family's configs write sliding windows: `asWritten`, by sliding_window alone, or `switched` on by
 * use_sliding_window for the layers from max_window_layers on.
 */
export type WindowStyle = "asWritten" | "switched";

/**
 * Refuses attention that does not see all of the text before it: a sliding window below max_position_embeddings, or layers
 * of another kind. Windows that are off, or that no sequence exceeds, are no matter.
 *
 * @throws InvalidArgument naming the field, its value and the way out
 */
export function checkWindows(read: Fields, style: WindowStyle, layers: number, maxPositions: number): void {
  const types = layerTypes(read, layers);
  const strange = types?.find((type) => !["full_attention", "attention", "sliding_attention"].includes(type));
  if (strange !== undefined) throw read.refused("layer_types", "full_attention in every layer", strange);
  const sliding = types?.includes("sliding_attention") ?? implied(read, style, layers);
  if (!sliding) return;
  const on = style === "asWritten" ? read.flag("use_sliding_window", true) : read.flag("use_sliding_window");
  // The Qwen families' own default. An explicit null is none.
  const window = "sliding_window" in read.raw || style === "asWritten" ? read.get("sliding_window") : 4096;
  if (!on || window === undefined) {
    if (types === undefined) return;
    throw read.error("layer_types has sliding_attention without a sliding window; say full_attention in every layer if none slides");
  }
  const size = read.size("sliding_window", window as number);
  if (size >= maxPositions) return;
  throw read.error(
    `sliding_window is ${size}, below max_position_embeddings ${maxPositions}, and Retort computes full attention only; where no text is longer than the window, full attention is the same: set max_position_embeddings to ${size} in a copy of the directory`,
  );
}

function layerTypes(read: Fields, layers: number): string[] | undefined {
  const types = read.get("layer_types");
  if (types === undefined) return undefined;
  if (!Array.isArray(types) || types.length < layers || !types.every((type): type is string => typeof type === "string"))
    throw read.refused("layer_types", `a list of the kinds of all ${layers} layers`);
  return types.slice(0, layers);
}

/** Whether layers slide by the other keys: a llama config with a window is another family's under a new name. */
function implied(read: Fields, style: WindowStyle, layers: number): boolean {
  if (style === "asWritten") return read.get("sliding_window") !== undefined && read.flag("use_sliding_window", true);
  if (!read.flag("use_sliding_window")) return false;
  const first = read.get("max_window_layers") ?? 28;
  if (typeof first !== "number") throw read.refused("max_window_layers", "a whole number");
  return first < layers;
}

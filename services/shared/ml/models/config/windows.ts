import type { Fields } from "./fields.js";

/** How a family's configs write sliding windows. */
export interface Windows {
  /** The window that a config means where it leaves `sliding_window` out; an explicit null is none. */
  readonly sizeByDefault?: number;
  /** Which layers slide where the config lists no `layer_types`. Undefined: the family has no windows, and refuses them. */
  readonly slides: ((layer: number, read: Fields) => boolean) | undefined;
  /** The family has the switch `use_sliding_window`, with this default. */
  readonly switched?: boolean;
  /** The family's class reads `layer_types`. */
  readonly typed?: boolean;
  /** Layers slide by default also where a config says that there is no window, which is then refused. */
  readonly needed?: boolean;
}

/** No layer slides, and a window is another family's under a new name. */
export const noWindows: Windows = { slides: undefined, switched: true, typed: true };

/** Qwen's: layers slide from `max_window_layers` on, where `use_sliding_window` says so. */
export const switchedWindows: Windows = {
  sizeByDefault: 4096,
  slides: (layer, read) => layer >= read.count("max_window_layers", 28),
  switched: false,
  typed: true,
};

/** Layers slide but for every so manyth, as `sliding_window_pattern` says. @param usual what it is where a config has none */
export const slidesByPattern =
  (usual: number) =>
  (layer: number, read: Fields): boolean =>
    (layer + 1) % read.size("sliding_window_pattern", usual) !== 0;

/**
 * How many tokens back each layer sees, itself included; undefined: all, as where no text exceeds the window.
 *
 * @throws InvalidArgument naming the field, its value and the way out
 */
export function windowsOf(read: Fields, windows: Windows, layers: number, maxPositions: number): (number | undefined)[] {
  const types = windows.typed ? layerTypes(read, layers) : undefined;
  const strange = types?.find((type) => !["full_attention", "attention", "sliding_attention"].includes(type));
  if (strange !== undefined) throw read.refused("layer_types", "full_attention or sliding_attention in every layer", strange);
  const on = windows.switched === undefined || read.flag("use_sliding_window", windows.switched);
  const size = on ? windowSize(read, windows) : undefined;
  if (size === undefined && (types?.includes("sliding_attention") || (windows.needed && !types)))
    throw read.error(
      `layer_types ${types ? "has" : "by default have"} sliding_attention without a sliding window; say full_attention in every layer if none slides`,
    );
  if (size === undefined || size >= maxPositions) return new Array<undefined>(layers).fill(undefined);
  const { slides } = windows;
  if (!slides) {
    if (types && !types.includes("sliding_attention")) return new Array<undefined>(layers).fill(undefined);
    const family = read.text("model_type");
    throw read.error(
      `sliding_window is ${size}, below max_position_embeddings ${maxPositions}: a model of type ${family} has no windows; if it is a Mistral, say so in model_type, and where no text is longer than the window, full attention is the same: set max_position_embeddings to ${size} in a copy of the directory`,
    );
  }
  return slidingLayers(read, windows, layers).map((slide) => (slide ? size : undefined));
}

/** Which layers are of the kind that slides, be the window wider than any text. */
export function slidingLayers(read: Fields, { slides, typed }: Windows, layers: number): boolean[] {
  const types = typed ? layerTypes(read, layers) : undefined;
  const slide = (layer: number): boolean => (types ? types[layer] === "sliding_attention" : (slides?.(layer, read) ?? false));
  return Array.from({ length: layers }, (_, layer) => slide(layer));
}

function windowSize(read: Fields, { sizeByDefault }: Windows): number | undefined {
  const window = read.has("sliding_window") ? read.get("sliding_window") : sizeByDefault;
  return window === undefined ? undefined : read.size("sliding_window", window as number);
}

function layerTypes(read: Fields, layers: number): string[] | undefined {
  const types = read.get("layer_types");
  if (types === undefined) return undefined;
  if (!Array.isArray(types) || types.length < layers || !types.every((type): type is string => typeof type === "string"))
    throw read.refused("layer_types", `a list of the kinds of all ${layers} layers`);
  return types.slice(0, layers);
}

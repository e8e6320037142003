import { architectureOf } from "../architectures/table.js";
import type { StoredTensor } from "../checkpoint/open.js";
import type { ModelConfig } from "../config/model-config.js";
import type { KeptLayers } from "./kept-layers.js";

/** The number of a layer in a tensor's name: the first part of it that is one. */
const layerNumber = /(^|\.)(\d+)(?=\.)/;

/**
 * The tensors of a checkpoint that stay when layers are cut out, by the names that they then have, in order of these. What
 * belongs to no layer stays as it is.
 *
 * @param tensors by the names of their files
 */
export function cutTensors(tensors: ReadonlyMap<string, StoredTensor>, config: ModelConfig, kept: KeptLayers): Map<string, StoredTensor> {
  const { ofAllLayers } = architectureOf(config);
  const left: [string, StoredTensor][] = [];
  for (const [name, tensor] of tensors) {
    const number = layerNumber.exec(name)?.[2];
    if (number === undefined || ofAllLayers?.test(name)) {
      left.push([name, tensor]);
      continue;
    }
    const layers = config.encoderDecoder && name.startsWith("encoder.") ? kept.encoderLayers : kept.layers;
    const place = layers.indexOf(Number(number));
    if (place >= 0) left.push([name.replace(layerNumber, `$1${place}`), tensor]);
  }
  return new Map(left.sort(([a], [b]) => (a < b ? -1 : 1)));
}

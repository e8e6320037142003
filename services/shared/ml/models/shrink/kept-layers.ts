import { counted } from "../../../base/counted.js";
import { RetortError } from "../../../base/errors.js";
import type { ModelConfig } from "../config/model-config.js";

/** Which layers of a model stay: their positions in it, rising. */
export interface KeptLayers {
  /** Of a decoder, or of an encoder-decoder's decoder. */
  readonly layers: readonly number[];
  /** Of an encoder-decoder's encoder; empty for a decoder alone. */
  readonly encoderLayers: readonly number[];
}

/** What is wanted of one part: so many layers, or these. */
export type LayerChoice = number | readonly number[];

/**
 * So many of a model's layers, spread evenly: the first and the last always, as DistilBART and Distil-Whisper (Shleifer and
 * Rush 2020, Gandhi et al. 2023) choose theirs. One alone is the first.
 *
 * @returns positions, rising: round(i · (layers − 1) / (count − 1))
 */
export function spreadLayers(layers: number, count: number): number[] {
  if (count === 1) return [0];
  return Array.from({ length: count }, (_, i) => Math.round((i * (layers - 1)) / (count - 1)));
}

/**
 * The layers that a choice leaves of a model.
 *
 * @param encoder what is wanted of the encoder, where that is not what is wanted of the decoder
 * @throws InvalidArgument naming the model, the choice and what it may be
 */
export function keptLayers(config: ModelConfig, directory: string, decoder: LayerChoice, encoder?: LayerChoice): KeptLayers {
  const { encoderDecoder, layers } = config;
  if (!encoderDecoder && encoder !== undefined)
    throw new RetortError("InvalidArgument", `${directory}: a model of type ${config.architecture} has no encoder; leave its layers out`);
  const decoderPart = encoderDecoder ? "its decoder" : "it";
  return {
    layers: chosen(decoder, layers, `${directory}: ${decoderPart}`),
    encoderLayers: encoderDecoder ? chosen(encoder ?? decoder, encoderDecoder.encoderLayers, `${directory}: its encoder`) : [],
  };
}

function chosen(choice: LayerChoice, layers: number, part: string): number[] {
  const refused = (what: string) => new RetortError("InvalidArgument", `${part} has ${counted(layers, "layer")}, and ${what}`);
  if (typeof choice === "number") {
    if (choice >= 1 && choice <= layers) return spreadLayers(layers, choice);
    throw refused(`${choice} of them are to stay; name a number from 1 to ${layers}`);
  }
  const outside = choice.find((layer) => layer < 0 || layer >= layers);
  if (outside !== undefined) throw refused(`layer ${outside} is to stay; they are counted from 0 to ${layers - 1}`);
  const falling = choice.findIndex((layer, i) => i > 0 && layer <= choice[i - 1]!);
  if (falling > 0)
    throw refused(`layer ${choice[falling]} is named behind ${choice[falling - 1]}; layers keep their order: name each once, rising`);
  if (choice.length === 0) throw refused("none is to stay; name at least one");
  return [...choice];
}

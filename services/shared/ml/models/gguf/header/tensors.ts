import { RetortError } from "../../../../base/errors.js";
import type { TensorType } from "../blocks/types.js";

/** Where a tensor lies in a GGUF file, and what it is. */
export interface GgufTensor {
  readonly name: string;
  /** As in a Hugging Face directory: the last dimension's elements lie side by side. */
  readonly shape: readonly number[];
  readonly type: TensorType;
  /** Place of its first byte in the file, and how many there are; 0 of a type that is not read. */
  readonly start: number;
  readonly bytes: number;
}

/** A tensor as the file lists it. */
export interface TensorInfo {
  readonly name: string;
  readonly shape: readonly (number | bigint)[];
  readonly type: TensorType;
  /** From the start of the first tensor. */
  readonly offset: number | bigint;
}

/** Where the tensors of a file lie. */
interface Room {
  readonly start: number;
  /** Length of the file. */
  readonly size: number;
  readonly alignment: number;
  readonly path: string;
}

/** Most elements of a tensor: more than any file could hold. */
const mostElements = 2 ** 48;

/**
 * The places of a file's tensors, which lie apart from each other within it.
 *
 * @throws DataLoss naming file and tensor
 */
export function placeTensors(infos: readonly TensorInfo[], room: Room): GgufTensor[] {
  const names = new Set<string>();
  const tensors = infos.map((info) => {
    if (names.has(info.name)) throw broken(room, `names tensor ${info.name} twice`);
    names.add(info.name);
    return placed(info, room);
  });
  const sorted = tensors.filter(({ bytes }) => bytes > 0).sort((a, b) => a.start - b.start);
  const at = sorted.findIndex(({ start }, i) => i > 0 && start < endOf(sorted[i - 1]));
  if (at > 0) throw broken(room, `has tensors ${sorted[at - 1]?.name} and ${sorted[at]?.name} share bytes`);
  return tensors;
}

const endOf = (tensor: GgufTensor | undefined): number => (tensor ? tensor.start + tensor.bytes : 0);

function placed({ name, shape, type, offset }: TensorInfo, room: Room): GgufTensor {
  const sizes = shape.filter((size): size is number => typeof size === "number" && size > 0);
  const elements = sizes.reduce((product, size) => product * size, 1);
  if (sizes.length !== shape.length || elements > mostElements) throw broken(room, `gives tensor ${name} the shape [${shape}]`);
  if (typeof offset === "bigint" || offset % room.alignment !== 0) throw broken(room, `places tensor ${name} at ${offset}`);
  const start = room.start + offset;
  if (!type.block) return { name, shape: sizes, type, start, bytes: 0 };
  const rowElements = sizes.at(-1) ?? 1;
  if (rowElements % type.block.elements !== 0)
    throw broken(room, `has tensor ${name} in rows of ${rowElements}, which ${type.name} cannot hold (blocks of ${type.block.elements})`);
  const bytes = (elements / type.block.elements) * type.block.bytes;
  if (start + bytes > room.size) throw broken(room, `ends before its tensor ${name} does`);
  return { name, shape: sizes, type, start, bytes };
}

const broken = ({ path }: Room, what: string): RetortError => new RetortError("DataLoss", `${path} ${what}; copy or download it again`);

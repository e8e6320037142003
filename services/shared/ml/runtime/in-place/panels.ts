/**
 * How the runtime lays out the second operand of a product of float32 on the CPU (MlasGemmPackB): blocks of 256 of the inner axis, in each
 * of them panels of 16 outputs, in a panel the 16 outputs of one inner place beside each other. Missing outputs of the last panel are zeros.
 * Elements are moved as 32 bits, whatever they are.
 */
const width = 16;
const depth = 256;

/** A matrix as a product reads it. */
export interface ProductMatrix {
  readonly outputs: number;
  readonly inputs: number;
  /** It lies as [outputs, inputs]; else as [inputs, outputs]. */
  readonly transB: boolean;
}

const paddedOutputs = (outputs: number): number => Math.ceil(outputs / width) * width;

/** Elements of a matrix that is laid out. */
export const packedElements = ({ outputs, inputs }: ProductMatrix): number => paddedOutputs(outputs) * inputs;

/** Where an element is in the matrix that is laid out. */
export function packedIndex({ outputs, inputs }: ProductMatrix, output: number, input: number): number {
  const block = input - (input % depth);
  const panel = output - (output % width);
  return paddedOutputs(outputs) * block + panel * Math.min(depth, inputs - block) + (input % depth) * width + (output % width);
}

/** Rows of a matrix that can be laid out by themselves: whole panels of outputs, or any along the inner axis. */
export const rowsTogether = ({ transB }: ProductMatrix): number => (transB ? width : 1);

/**
 * Lays out some rows of a matrix.
 *
 * @param rows the rows from `first` on, which is a multiple of {@link rowsTogether}: as many of these as there are, or up to the last
 * @param packed the whole matrix that is laid out; padding isn't written
 */
export function packRows(rows: Int32Array, first: number, matrix: ProductMatrix, packed: Int32Array): void {
  const { outputs, inputs, transB } = matrix;
  const count = rows.length / (transB ? inputs : outputs);
  const [outputsFrom, outputsTo] = transB ? [first, first + count] : [0, outputs];
  const [inputsFrom, inputsTo] = transB ? [0, inputs] : [first, first + count];
  const [outputStep, inputStep] = transB ? [inputs, 1] : [1, outputs];
  for (let panel = outputsFrom; panel < outputsTo; panel += width) {
    const columns = Math.min(width, outputsTo - panel);
    for (let input = inputsFrom; input < inputsTo; ) {
      const from = (panel - outputsFrom) * outputStep + (input - inputsFrom) * inputStep;
      const to = packedIndex(matrix, panel, input);
      const count = Math.min(depth - (input % depth), inputsTo - input);
      input += count;
      if (columns === width) packPanel(rows, from, outputStep, inputStep, count, packed, to);
      else
        for (let i = 0; i < count; i++)
          for (let j = 0; j < columns; j++) packed[to + i * width + j] = rows[from + j * outputStep + i * inputStep] as number;
    }
  }
}

/** A full panel of one block. Written out, it takes a third of the time of a loop of 16. */
function packPanel(
  rows: Int32Array,
  start: number,
  step: number,
  inputStep: number,
  count: number,
  packed: Int32Array,
  place: number,
): void {
  for (let i = 0, from = start, to = place; i < count; i++, from += inputStep, to += width) {
    packed[to] = rows[from] as number;
    packed[to + 1] = rows[from + step] as number;
    packed[to + 2] = rows[from + 2 * step] as number;
    packed[to + 3] = rows[from + 3 * step] as number;
    packed[to + 4] = rows[from + 4 * step] as number;
    packed[to + 5] = rows[from + 5 * step] as number;
    packed[to + 6] = rows[from + 6 * step] as number;
    packed[to + 7] = rows[from + 7 * step] as number;
    packed[to + 8] = rows[from + 8 * step] as number;
    packed[to + 9] = rows[from + 9 * step] as number;
    packed[to + 10] = rows[from + 10 * step] as number;
    packed[to + 11] = rows[from + 11 * step] as number;
    packed[to + 12] = rows[from + 12 * step] as number;
    packed[to + 13] = rows[from + 13 * step] as number;
    packed[to + 14] = rows[from + 14 * step] as number;
    packed[to + 15] = rows[from + 15 * step] as number;
  }
}

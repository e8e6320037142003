import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { piecesOf } from "../../../../../services/shared/ml/graph/file-tensor.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { WeightsFile } from "../../../../../services/shared/ml/graph/weights-file.js";

const rows = (first: number) =>
  float32(
    Float32Array.from({ length: 64 }, (_, i) => first + i),
    [64],
  );

describe("piecesOf()", () => {
  let directory: string;
  let file: WeightsFile;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "retort-pieces-"));
    file = new WeightsFile(join(directory, "weights"));
  });
  afterAll(() => {
    file.close();
    rmSync(directory, { recursive: true });
  });
  const read = (piece: Uint8Array | undefined) => [...new Float32Array((piece as Uint8Array).slice().buffer)];

  it("keeps two constants that are read in turns apart", () => {
    const [one, other] = [file.copy(rows(0)), file.copy(rows(1000))].map((constant) => piecesOf(constant, 128));
    const [first, second] = [one?.next().value as Uint8Array, other?.next().value as Uint8Array];
    expect(read(first)).toEqual([...rows(0).data.subarray(0, 32)]);
    expect(read(second)).toEqual([...rows(1000).data.subarray(0, 32)]);
    expect([...(one ?? [])].map(read)).toEqual([[...rows(0).data.subarray(32)]]);
    expect([...(other ?? [])].map(read)).toEqual([[...rows(1000).data.subarray(32)]]);
  });

  it("reads one constant after another into the same memory", () => {
    const buffers = [rows(0), rows(7)].map((constant) => [...piecesOf(file.copy(constant))][0]?.buffer);
    expect(buffers[0]).toBe(buffers[1]);
  });
});

import { create } from "@bufbuild/protobuf";
import { studentSource } from "../../../../services/learner/model/student-source.js";
import { InitSpecSchema, RunSpecSchema, type RunSpecValid } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { architectureOf, architectures } from "../../../../services/shared/ml/models/architectures/table.js";
import { parseConfig } from "../../../../services/shared/ml/models/parse-config.js";

const families = Object.keys(architectures).filter((architecture) => architectureOf({ architecture }).fresh !== false);

describe("studentSource()", () => {
  it.each(families)("gives a student from scratch a config that its family takes: %s", (architecture) => {
    const init = create(InitSpecSchema, { architecture, hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 2, tokenizer: "DIR" });
    const spec = create(RunSpecSchema, { student: { init }, seed: 1 }) as RunSpecValid;
    const source = studentSource(spec);
    if (!("config" in source)) throw new Error("a config is expected");
    const { heads, headDim, layers } = parseConfig({ ...source.config, vocab_size: 32 });
    expect([heads, headDim, layers]).toEqual([2, 8, 2]);
  });
});

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const dist = fileURLToPath(new URL("../../../../../", import.meta.url));

/** Samples from small models of both kinds, their weights as constants and as inputs. */
const script = `
  const { Sampler } = await import("${dist}services/shared/ml/sampling/sampler.js");
  const { smallConfigs, smallModel } = await import("${dist}test/support/models/small-model.js");
  const { smallT5 } = await import("${dist}test/support/models/small-t5.js");
  const params = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 3, stopIds: [] };
  const models = ["gpt_bigcode", "qwen2", "mistral", "stablelm"].map((name) => smallModel(smallConfigs[name]));
  for (const { config, params: weights } of [...models, smallT5()])
    for (const weightsAsInputs of [false, true]) {
      const sampler = new Sampler(config, weights, { device: "cpu", threads: 1, chunkTokens: 2, maxRows: 4, weightsAsInputs });
      const [{ ids }] = await sampler.sample([{ promptIds: Int32Array.of(3, 5), seed: 1n }], params);
      console.log(ids.length);
      await sampler.release();
    }
`;

describe("the graphs of decoding", () => {
  it("are compiled without a warning of the runtime, which it would print to the user's console", async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
    expect(stdout).toBe("3\n".repeat(10));
    expect(stderr).toBe("");
  });
});

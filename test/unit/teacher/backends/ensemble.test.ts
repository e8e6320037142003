import { resolve } from "node:path";
import { Metrics } from "../../../../services/shared/base/metrics.js";
import { loadHead } from "../../../../services/shared/ml/models/files/load-head.js";
import { loadModel } from "../../../../services/shared/ml/models/files/model-files.js";
import { teacherHeadDigest } from "../../../../services/shared/ml/models/model.js";
import { Scorer } from "../../../../services/shared/ml/scoring/scorer.js";
import type { Score, Signal } from "../../../../services/shared/ml/signals/score.js";
import type { ScoreInput } from "../../../../services/shared/ml/signals/signal.js";
import type { TeacherModel } from "../../../../services/teacher/backends/backend.js";
import { ensembleBackend } from "../../../../services/teacher/backends/ensemble.js";
import { expectAllClose } from "../../../support/jest/all-close.js";
import { largestClasses } from "../../../support/loss/distributions.js";

const directories = ["teacher", "student"].map((name) => resolve("deploy/examples/num2words/models", name));
const shares = [0.25, 0.75];
const ensemble = directories.map((model, m) => ({ model, share: shares[m]! }));
const options = {
  ...({ device: "cpu", threads: 2, batchTokens: 1024, metrics: new Metrics("teacher") } as const),
  tokens: { env: {}, hosts: "", plaintext: false },
};
const inputs: ScoreInput[] = [7, 1, 12].map((length, i) => ({
  promptIds: Int32Array.from({ length: 3 + i }, (_, n) => 5 + n + i),
  completionIds: Int32Array.from({ length }, (_, n) => 8 + ((3 * n + i) % 25)),
}));
const asked = (kind: Signal["kind"], k = 0): Signal => ({ kind, k, temperature: 0.7, hiddenDtype: "float32" });

describe("a teacher of several models", () => {
  const backend = ensembleBackend(options);
  let teacher: TeacherModel;
  /** The mixture's log-probabilities of each sequence, in float64, from what each model says by itself. */
  let mixtures: number[][];
  let vocab: number;
  let states: Score[][];
  beforeAll(async () => {
    teacher = await backend.open({ model: directories[0]!, ensemble, vocabRows: 0 });
    const alone = await Promise.all(
      directories.map(async (directory) => {
        const { config, params } = await loadModel(directory);
        vocab = config.vocabSize;
        const scorer = new Scorer(config, params, { device: "cpu", threads: 1, batchTokens: 1024 });
        const scores = { full: await scorer.score(inputs, asked("full")), hidden: await scorer.score(inputs, asked("hidden")) };
        await scorer.release();
        return scores;
      }),
    );
    states = alone.map(({ hidden }) => hidden);
    mixtures = inputs.map((_, i) =>
      Array.from(alone[0]!.full[i]!.full!, (_, at) =>
        Math.log(alone.reduce((sum, { full }, m) => sum + shares[m]! * Math.exp(full[i]!.full![at]!), 0)),
      ),
    );
  });
  afterAll(() => backend.close());

  const given = (i: number) => Array.from(inputs[i]!.completionIds, (id, n) => mixtures[i]![n * vocab + id]!);
  const bounds = { rtol: 1e-5, atol: 1e-5 };

  it("gives the mixture's whole distribution, and the given token's probability", async () => {
    const [full, sampled] = [await teacher.score(inputs, asked("full")), await teacher.score(inputs, asked("sampled"))];
    inputs.forEach((_, i) => {
      expectAllClose(full[i]!.full!, mixtures[i]!, bounds);
      for (const score of [full[i]!, sampled[i]!]) expectAllClose(score.logprobs!, given(i), bounds);
    });
  });

  it("gives its most probable classes, and what the student's have, with the mass of the rest", async () => {
    const k = 6;
    const top = await teacher.score(inputs, asked("top_k", k));
    for (const [i, score] of top.entries()) {
      // In these models each of the mixture's first classes is among one model's first ones.
      const expected = largestClasses(mixtures[i]!, vocab, k);
      expect([...score.ids!]).toEqual(expected.flat());
      expectAllClose(
        score.topLogprobs!,
        expected.flatMap((ids, n) => ids.map((id) => mixtures[i]![n * vocab + id]!)),
        bounds,
      );
      const mass = Array.from(
        score.tail!,
        (tail, n) => Math.exp(tail) + score.topLogprobs!.subarray(n * k, (n + 1) * k).reduce((sum, x) => sum + Math.exp(x), 0),
      );
      expectAllClose(mass, new Array(mass.length).fill(1), { atol: 1e-5 });
    }
    const chosen = inputs.map((input) => ({
      ...input,
      studentTopIds: Int32Array.from({ length: 2 * input.completionIds.length }, (_, at) => (at % 2 ? 9 : 30)),
    }));
    const about = await teacher.score(chosen, asked("student_top_k", 2));
    for (const [i, score] of about.entries())
      expectAllClose(
        score.topLogprobs!,
        Array.from(score.ids!, (id, at) => mixtures[i]![Math.floor(at / 2) * vocab + id]!),
        bounds,
      );
  });

  it("gives every model's hidden states, side by side, and names the heads that the learner mixes", async () => {
    const scores = await teacher.score(inputs, asked("hidden"));
    for (const [i, { hidden }] of scores.entries()) {
      const parts = states.map((own) => own[i]!.hidden as Float32Array);
      const tokens = inputs[i]!.completionIds.length;
      const expected = Array.from({ length: tokens }, (_, n) =>
        parts.flatMap((own) => [...own.subarray((n * own.length) / tokens, ((n + 1) * own.length) / tokens)]),
      );
      expectAllClose(hidden as Float32Array, expected.flat(), bounds);
    }
    const parts = await Promise.all(directories.map(async (directory, m) => ({ head: await loadHead(directory), share: shares[m]! })));
    expect(teacher.description.headDigest).toBe(teacherHeadDigest({ parts }));
  });

  it("is another teacher at other shares, and than its models", async () => {
    const other = ensembleBackend(options);
    const opened = await other.open({ model: directories[0]!, ensemble: ensemble.map((one) => ({ ...one, share: 0.5 })), vocabRows: 0 });
    const digests = [teacher, opened].map(({ description: { digest, headDigest, configDigest } }) => [digest, headDigest, configDigest]);
    expect(new Set(digests.flat()).size).toBe(6);
    expect((await teacher.facts(false)).weights).toMatchObject({ digest: teacher.description.digest });
    await other.close();
  });

  it("refuses draws and texts by name", async () => {
    await expect(teacher.score(inputs, asked("random_k", 3))).rejects.toThrow(/random_k, and this teacher is an ensemble/);
    await expect(teacher.sample([], { temperature: 1, topK: 0, topP: 1, maxNewTokens: 1 })).rejects.toThrow(
      /ensemble, which writes no texts/,
    );
  });
});

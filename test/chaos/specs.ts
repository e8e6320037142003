import { tinySpec } from "../support/runs/local-run.js";

/** How the run goes: with staleness 0 and one worker per role its weights are a function of the spec alone. */
export type Mode = "sync" | "async";

/** A run in which every role has work, of so many steps; with evaluations before and after, unless it is to be short. */
export function chaosSpec(mode: Mode, name: string, steps: number, short = false): string {
  const [staleness, students] = mode === "sync" ? [0, 1] : [2, 2];
  return tinySpec(
    name,
    `
rollouts: { maxStaleness: ${staleness}, promptsPerTask: 4 }
rewards: [{ kind: exact_match }]
checkpoints: { everySteps: 5 }
roles: { student: { replicas: ${students}, threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
${short ? "" : `evaluation: { path: data/held-out.jsonl, limit: ${mode === "sync" ? 32 : 256} }`}
phases:
  - preset: rl_gkd
    steps: ${steps}
    batchSize: 8
    samplesPerPrompt: 2
    objective: { alpha: 0.5, signal: top_k, topK: 8 }
    sampling: { maxNewTokens: 16 }
    optimizer: { learningRate: 0.001 }
`,
  );
}

/** Sequences of one step. */
export const sequencesPerStep = 16;

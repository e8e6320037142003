import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ObjectiveSpecSchema } from "../../gen/retort/v1/run_spec_pb.js";
import type { Closed } from "./closed-value.js";

/** What a preset decides: how often the student's own samples are used, and what is minimised. */
export interface Preset {
  readonly lambda: number;
  readonly objective: MessageInitShape<typeof ObjectiveSpecSchema>;
  /** True where the teacher must read another prompt than the student. */
  readonly ownPrompt?: true;
}

/** The methods of the field, by the names they go by. */
export const presets: Readonly<Record<Closed<"PhaseSpec.preset">, Preset>> = {
  /** The control that asks no teacher: a constant negative advantage on what the student finds improbable (arXiv 2608.31046). */
  constant_advantage: { lambda: 1, objective: { divergence: "constant_advantage", normalisation: "token" } },
  /** Askell et al. 2021, Snell et al. 2022, on the student's samples: what a teacher does under a context, without it. */
  context_distillation: { lambda: 1, objective: { divergence: "forward_kl" }, ownPrompt: true },
  /** Wen et al. 2023, with total variation. */
  f_distill: { lambda: 0.5, objective: { divergence: "tvd" } },
  /** Agarwal et al. 2024, with the defaults of TRL's GKDTrainer. */
  gkd: { lambda: 0.5, objective: { divergence: "jsd", beta: 0.5 } },
  /** Lin et al. 2020. */
  imitkd: { lambda: 0.5, objective: { divergence: "forward_kl" } },
  on_policy_kd: { lambda: 1, objective: { divergence: "forward_kl" } },
  /** Thinking Machines 2025: sampled reverse KL as a policy gradient. */
  opd: { lambda: 1, objective: { divergence: "opd", signal: "sampled", normalisation: "token" } },
  /** Zhao et al. 2026, on-policy self-distillation: the teacher, the same model, reads the reference too. */
  opsd: { lambda: 1, objective: { divergence: "jsd", beta: 0.5 }, ownPrompt: true },
  /** The reward alone. */
  rl: { lambda: 1, objective: { divergence: "reverse_kl", alpha: 0 } },
  /** Reward and reverse KL. */
  rl_gkd: { lambda: 1, objective: { divergence: "reverse_kl", alpha: 0.5 } },
  /**
   * Shenfeld et al. 2026: the teacher, the same model, reads a demonstration too. Theirs is an average of the student on its way
   * (teachers[].follow); without that it stays what it is.
   */
  sdft: { lambda: 1, objective: { divergence: "reverse_kl" }, ownPrompt: true },
  /** Kim, Rush 2016: likelihood of texts that the teacher wrote (data.generate). */
  seq_kd: { lambda: 0, objective: { divergence: "cross_entropy" } },
  /** Likelihood of the dataset's completions. */
  sft: { lambda: 0, objective: { divergence: "cross_entropy" } },
  /** Hinton et al. 2015; Sanh et al. 2019. */
  supervised_kd: { lambda: 0, objective: { divergence: "forward_kl" } },
};

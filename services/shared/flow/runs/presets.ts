import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ObjectiveSpecSchema } from "../../gen/retort/v1/run_spec_pb.js";
import type { Closed } from "./closed-value.js";

/** What a preset decides: how often the student's own samples are used, and what is minimised. */
export interface Preset {
  readonly lambda: number;
  readonly objective: MessageInitShape<typeof ObjectiveSpecSchema>;
}

/** The methods of the field, by the names they go by. */
export const presets: Readonly<Record<Closed<"PhaseSpec.preset">, Preset>> = {
  /** Wen et al. 2023, with total variation. */
  f_distill: { lambda: 0.5, objective: { divergence: "tvd" } },
  /** Agarwal et al. 2024, with the defaults of TRL's GKDTrainer. */
  gkd: { lambda: 0.5, objective: { divergence: "jsd", beta: 0.5 } },
  /** Lin et al. 2020. */
  imitkd: { lambda: 0.5, objective: { divergence: "forward_kl" } },
  on_policy_kd: { lambda: 1, objective: { divergence: "forward_kl" } },
  /** Thinking Machines 2025: sampled reverse KL as a policy gradient. */
  opd: { lambda: 1, objective: { divergence: "opd", signal: "sampled", normalisation: "token" } },
  /** The reward alone. */
  rl: { lambda: 1, objective: { divergence: "reverse_kl", alpha: 0 } },
  /** Reward and reverse KL. */
  rl_gkd: { lambda: 1, objective: { divergence: "reverse_kl", alpha: 0.5 } },
  /** Kim, Rush 2016: likelihood of texts that the teacher wrote (data.generate). */
  seq_kd: { lambda: 0, objective: { divergence: "cross_entropy" } },
  /** Likelihood of the dataset's completions. */
  sft: { lambda: 0, objective: { divergence: "cross_entropy" } },
  /** Hinton et al. 2015; Sanh et al. 2019. */
  supervised_kd: { lambda: 0, objective: { divergence: "forward_kl" } },
};

/** What a learning rate is for: all weights of a trained model, an adapter of one, or a model from scratch. */
export type Trained = "adapter" | "scratch" | "weights";

/** Parameters of the model that {@link baseRate} is for. */
const baseParameters = 1.24e9;

/** Smaller models count as ones of so many parameters: nothing is usual for them. */
export const fewestParameters = 1e6;

/** 5e-5 for all weights of Llama 3.2 1B: Tinker's `get_lr` (Thinking Machines 2025), at a hidden size of 2000. */
const baseRate = 5e-5;

/**
 * How the rates of adapters and of models from scratch compare with those of fine-tuning all weights. Ten times for LoRA: Schulman et al.
 * 2025, "LoRA Without Regret"; TRL's example for GKD, too, has 2e-5 and 2e-4. From scratch four times, by GPT-3's table 2.1
 * (Brown et al. 2020): 6e-4 at 125M parameters, 2e-4 at 1.3B.
 */
const factors: Readonly<Record<Trained, number>> = { adapter: 10, scratch: 4, weights: 1 };

/**
 * The learning rate of AdamW that is usual for a model: as 1/sqrt(parameters), which is how Tinker's multipliers go. It gives 2e-5 for
 * all weights of a model of 8B parameters, as TRL's SFTConfig has it, and 1.5e-4 at 135M.
 *
 * @param parameters of the whole model, also where an adapter is trained
 */
export const usualLearningRate = (parameters: number, trained: Trained): number =>
  factors[trained] * baseRate * Math.sqrt(baseParameters / Math.max(fewestParameters, parameters));

/** Share of a phase's steps that a warm-up takes at most in usual recipes: 0.03 (Alpaca) to 0.1 (the Alignment Handbook). */
export const usualWarmup = 0.1;

/** Sequences of a step that are usual: 32 in the GKD paper (Agarwal et al. 2024, XSum) and in TRL's example for GKD. */
export const usualSequences = 32;

/** Temperature of samples to train on that is usual: the GKD paper's, and Thinking Machines' (2025); TRL has 0.9. */
export const usualTemperature = 1;

import { type JsonObject, toJson } from "@bufbuild/protobuf";
import type { Figure } from "../../shared/gen/retort/v1/controller_pb.js";
import { ObjectiveSpecSchema, type RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";

/** What is along the horizontal axis. */
export type Along = "step" | "seconds" | "tokens";

/** What a figure is measured in; none for pure numbers and those whose unit the page doesn't know. */
const units: Readonly<Record<string, string>> = {
  divergence: "nats",
  entropy: "nats",
  mismatchKl: "nats",
  forwardKl: "nats",
  reverseKl: "nats",
  teacherNll: "nats",
  seconds: "s",
  waitSeconds: "s",
  trainSeconds: "s",
  publishSeconds: "s",
  sampleSeconds: "s",
  scoreSeconds: "s",
  completionTokens: "tokens",
  meanLength: "tokens",
  length: "tokens",
  stalenessMean: "versions",
  stalenessMax: "versions",
  signalBytesPerToken: "bytes",
};

const words: Readonly<Record<string, string>> = {
  mismatchKl: "mismatch KL",
  forwardKl: "forward KL",
  reverseKl: "reverse KL",
  teacherNll: "teacher NLL",
  selfBleu: "self-BLEU",
};

/** A figure's name for people: `reverseKl` is `reverse KL`. */
export function label(name: string): string {
  const parts = name.split(".");
  return parts.map((part) => words[part] ?? part.replace(/([A-Z])/g, (c) => ` ${c.toLowerCase()}`)).join(" · ");
}

/** A figure's unit, or nothing. */
export const unit = (name: string): string => units[name.split(".").at(-1) ?? ""] ?? "";

/** Where a curve's points are. */
export const along = (figure: Figure, axis: Along): readonly number[] =>
  axis === "step" ? figure.steps : axis === "seconds" ? figure.seconds : figure.tokens;

/**
 * What a run minimises, in words, one per phase. Losses of runs may be on one axis only where these are equal: the loss of one
 * divergence says nothing beside another's.
 */
export function objectiveOf(spec: RunSpec | undefined): string {
  const phases = (spec?.phases ?? []).map(({ objective, preset }) => {
    const json = objective ? (toJson(ObjectiveSpecSchema, objective) as JsonObject) : {};
    const { divergence = preset || "gkd", signal: _, ...rest } = json;
    return [divergence, ...Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`)].join(" ");
  });
  return [...new Set(phases)].join(", then ");
}

/** Whether a figure's scale is that of the objective. */
export const ofObjective = (name: string): boolean => name === "loss" || name === "divergence" || name === "gradientNorm";

/** The figures that are shown first, where a run has them. */
export const firstFigures: readonly string[] = [
  "loss",
  "divergence",
  "reward",
  "evaluation.reverseKl",
  "evaluation.greedy",
  "entropy",
  "gradientNorm",
  "seconds",
];

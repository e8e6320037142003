import type { Problem } from "../../base/errors.js";
import { isForeignAddress } from "../../base/rpc/foreign-address.js";
import type { EnvironmentSpec, RunSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { type Closed, closedValue } from "./closed-value.js";

/** What answers the student between its turns; as EnvironmentSpec in run_spec.proto. */
export interface EnvironmentSettings {
  readonly kind: Closed<"EnvironmentSpec.kind">;
  /** Of an external one. */
  readonly address: string;
  readonly maxTurns: number;
  readonly maxReplyTokens: number;
}

/** An environment's settings with their defaults; undefined where a completion is one turn. */
export function resolveEnvironment(given: EnvironmentSpec | undefined): EnvironmentSettings | undefined {
  // One whose kind breaks a rule stands here without it, while the rest of its spec is looked at.
  if (!given?.kind) return undefined;
  const { kind, address, maxTurns, maxReplyTokens } = given;
  return { kind: closedValue("EnvironmentSpec.kind", kind), address, maxTurns: maxTurns || 8, maxReplyTokens: maxReplyTokens || 512 };
}

/** The role in which an environment answers, as far as a chat template is to be tried before it does; undefined where there is none. */
export const answerRoleOf = (environment: EnvironmentSettings | undefined): string | undefined =>
  environment && (environment.kind === "external" ? "user" : "tool");

/** What cannot be meant by a spec's environment, or is asked of one that the run doesn't have. */
export function environmentProblems({ environment, rewards, data }: Pick<RunSpec, "environment" | "rewards" | "data">): Problem[] {
  const problems: Problem[] = [];
  const problem = (fieldPath: string, description: string) => problems.push({ fieldPath, description });
  const paid = rewards.findIndex(({ kind }) => kind === "environment");
  if (!environment) {
    if (paid >= 0) problem(`rewards[${paid}].kind`, "is environment, and the run has none; say which one under `environment`");
    return problems;
  }
  const { kind, address } = environment;
  if (kind === "external" && !isForeignAddress(address))
    problem("environment.address", `is "${address}"; give host:port, or https://host:port, of a server of EnvironmentService`);
  if (kind && kind !== "external" && address)
    problem("environment.address", `is "${address}", and the kind is ${kind}, which is no server; leave it out, or take kind: external`);
  if (data?.generate)
    problem("data.generate", "has a teacher write texts that no environment answers; give rows, or leave the environment out");
  return problems;
}

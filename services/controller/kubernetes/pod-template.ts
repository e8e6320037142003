import { readFile } from "node:fs/promises";
import type { V1PodSpec, V1PodTemplateSpec } from "@kubernetes/client-node";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { type Problem, RetortError } from "../../shared/base/errors.js";
import type { RoleName } from "../../shared/flow/runs/resolve.js";

/** Name of the container of a pod that is the role; any other one is a sidecar. */
export const containerName = "retort";

/** Name of the init container that fetches what a spec names elsewhere; a second one, which fetches no weights, is named with `-configs`. */
export const fetchName = "retort-fetch";

/**
 * How the pods of a run look, one PodTemplateSpec (core/v1) per role and profile: the contract between the chart, which renders it,
 * and the launcher, which makes Jobs and Deployments of it.
 *
 * The template decides image, resources, node selection, volumes, environment (`RETORT_NATS_URL` and every other
 * setting), security context, probes, service account and grace period. The launcher decides and overwrites:
 *
 * - `spec.restartPolicy`, and on the container `retort` a `terminationMessagePolicy` if it has none;
 * - the flags `--role --run --teacher --device --threads --dtype`, put before the container's own `args`;
 * - whether there is the init container `retort-fetch`, whose command is `retort`: it gets the arguments `fetch REFERENCE… --at PATH…`, and a pod that
 *   needs nothing to be fetched has none. Without it in a template, specs may name nothing elsewhere;
 * - labels (see labels.ts); the template's other labels and its annotations stay.
 */
export interface PodTemplates extends RoleTemplates {
  /** Other templates by the name of a profile, which a spec chooses for a role (`roles.ROLE.profile`). */
  readonly profiles?: Readonly<Record<string, RoleTemplates>>;
}

/** A template per role. */
export type RoleTemplates = Readonly<Record<RoleName, PodTemplate>>;

/** A PodTemplateSpec that has a pod. */
export interface PodTemplate extends V1PodTemplateSpec {
  spec: V1PodSpec;
}

/** Whether a template's pods can fetch what a spec names elsewhere. */
export const hasFetch = ({ spec }: PodTemplate): boolean => (spec.initContainers ?? []).some(({ name }) => name === fetchName);

const container = z.looseObject({ name: z.string().min(1), image: z.string().min(1) });

const podTemplate = z.looseObject({
  metadata: z.looseObject({}).optional(),
  spec: z.looseObject({
    containers: z
      .array(container)
      .refine(
        (all) => all.filter(({ name }) => name === containerName).length === 1,
        `needs exactly one container named "${containerName}"`,
      ),
  }),
});

/** The file's own shape only: what a PodTemplateSpec may hold the API server checks, with its own messages. */
const roleTemplates = z.strictObject({ learner: podTemplate, reward: podTemplate, student: podTemplate, teacher: podTemplate });
const podTemplates = roleTemplates.extend({ profiles: z.record(z.string(), roleTemplates).optional() });

/**
 * The template of a role, as its profile has it.
 *
 * @param profile empty for none
 * @throws FailedPrecondition if there is no such profile any more
 */
export function templateOf({ profiles = {}, ...roles }: PodTemplates, role: RoleName, profile = ""): PodTemplate {
  const chosen = profile === "" ? roles : profiles[profile];
  if (chosen) return chosen[role];
  const there = Object.keys(profiles).join(", ") || "none";
  throw new RetortError("FailedPrecondition", `roles.${role}.profile is ${profile}; the installation's profiles are: ${there}`);
}

/**
 * Reads the pod templates from the text of a YAML file.
 *
 * @param path where the text came from, for the errors
 * @throws InvalidArgument that lists every problem by its path in the file
 */
export function parsePodTemplates(text: string, path: string): PodTemplates {
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    throw new RetortError("InvalidArgument", `the pod templates in ${path} are not YAML: ${(error as Error).message}`, { cause: error });
  }
  const parsed = podTemplates.safeParse(value);
  if (parsed.success) return parsed.data as PodTemplates;
  const problems: Problem[] = parsed.error.issues.map(({ path: at, message }) => ({ fieldPath: at.join("."), description: message }));
  throw RetortError.ofProblems(`the pod templates in ${path}`, problems);
}

/** Reads the file of pod templates. @throws NotFound or InvalidArgument naming the file */
export async function readPodTemplates(path: string): Promise<PodTemplates> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new RetortError(
      "NotFound",
      `the pod templates ${path} cannot be read (${error.code}); give --pod-template a YAML file with a pod template per role`,
    );
  });
  return parsePodTemplates(text, path);
}

import { z } from "zod";
import { RetortError } from "../shared/base/errors.js";
import { readRegularSync } from "../shared/base/regular-files.js";
import type { Grant } from "../shared/base/rpc/access.js";
import { parseYaml } from "../shared/base/yaml.js";
import { Scope } from "../shared/gen/retort/v1/access_pb.js";

/** How much of a controller a tenant may use at a time; what isn't said is unbounded. */
export interface Quota {
  /** Runs that aren't over, paused ones among them. */
  readonly runs?: number | undefined;
  /** Processes of these runs: learner, and the replicas of students, teachers and rewards. */
  readonly processes?: number | undefined;
}

const scopes = { read: Scope.READ, run: Scope.RUN, admin: Scope.ADMIN } as const;

const tenant = z.strictObject({
  token: z.string().regex(/^[\x21-\x7e]{16,4096}$/, "a token has 16 characters or more, and no space"),
  scope: z.enum(["read", "run", "admin"]).default("run"),
  quota: z.strictObject({ runs: z.int().min(0).optional(), processes: z.int().min(0).optional() }).default({}),
});

const file = z.record(z.string().regex(/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/, "a name has up to 40 of a-z, 0-9 and -"), tenant);

/** Most bytes of the file. */
const mostBytes = 2 ** 20;

/** Those who share a controller: each has a token of its own, whose name is that of its runs. */
export class Tenants {
  readonly #tenants: z.infer<typeof file>;

  constructor(tenants: z.input<typeof file> = {}) {
    this.#tenants = file.parse(tenants);
  }

  /**
   * Reads a YAML file with tenants by name, as `vision: { token: …, scope: run, quota: { runs: 2, processes: 8 } }`.
   *
   * @param path undefined: there are none
   * @throws FailedPrecondition naming file, field and way out
   */
  static read(path: string | undefined): Tenants {
    if (path === undefined) return new Tenants();
    try {
      return new Tenants((parseYaml(readRegularSync(path, mostBytes).toString(), path) as z.input<typeof file> | null) ?? {});
    } catch (error) {
      // What is wrong is told without what stands there: it has secrets.
      const reasons =
        error instanceof z.ZodError ? error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`) : [(error as Error).message];
      throw new RetortError(
        "FailedPrecondition",
        `--tenants names ${path}, which isn't a file of tenants (${reasons.join("; ")}); write NAME: { token: …, scope: read, run or admin, quota: { runs: 2, processes: 8 } }`,
      );
    }
  }

  /** What each one's token permits. */
  get grants(): Grant[] {
    return Object.entries(this.#tenants).map(([name, { token, scope }]) => ({ name, token, scope: scopes[scope] }));
  }

  /** What the owner of runs may use; nothing bounds those of nobody. */
  quotaOf(owner: string): Quota {
    return this.#tenants[owner]?.quota ?? {};
  }
}

import { createHash } from "node:crypto";
import { join } from "node:path";
import { create, type JsonValue, toJson } from "@bufbuild/protobuf";
import { checkMessage } from "../../shared/base/rpc/check-message.js";
import { type RunSpec, RunSpecSchema, type RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { SpecInit } from "./experiment.js";

/** SHA-256 of a text, its first 16 hexadecimal digits. */
export const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

/** Where reproductions keep what they made. Everything is named by the digest of what it was made from. */
export class Places {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Directory of a recipe's datasets. */
  data(digest: string): string {
    return join(this.root, "data", digest);
  }

  /** Directory of a model. */
  model(digest: string): string {
    return join(this.root, "models", digest);
  }

  /** File with what came of a job. */
  result(digest: string): string {
    return join(this.root, "results", `${digest}.json`);
  }

  /**
   * A spec with the digest of its content as the directory of its student. Paths under the root count as they are below
   * it, so that the digest does not depend on where the root is.
   *
   * @throws InvalidArgument if it breaks a rule of its proto
   */
  complete(spec: SpecInit): { readonly digest: string; readonly spec: RunSpecValid } {
    const plain = toJson(RunSpecSchema, create(RunSpecSchema, spec));
    const digest = digestOf(JSON.stringify(plain).replaceAll(`"${this.root}/`, '"/'));
    return { digest, spec: checkMessage(RunSpecSchema, create(RunSpecSchema, { ...spec, output: this.model(digest) })) };
  }

  /** A spec as JSON, for the record. */
  json(spec: RunSpec): JsonValue {
    return toJson(RunSpecSchema, spec);
  }
}

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Every page of the repository, by its path. */
export const pages: readonly string[] = [".", ".github", "deploy", "proto", "services", "test"].flatMap((root) =>
  (readdirSync(root, { recursive: root !== "." }) as string[]).filter((path) => path.endsWith(".md")).map((path) => join(root, path)),
);

/** The text of a page. */
export const textOf = (page: string): string => readFileSync(page, "utf8");

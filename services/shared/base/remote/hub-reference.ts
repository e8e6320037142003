import { RetortError } from "../errors.js";

/** Something on a Hugging Face hub, as its file systems write it: `hf://[datasets/]OWNER/NAME[@REVISION][/PATH]`. */
export interface HubReference {
  readonly type: "model" | "dataset";
  /** OWNER/NAME. */
  readonly name: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  /** A file or folder in the repository; empty for all of it. */
  readonly path: string;
}

/** Whether a text is a reference to a hub. */
export const isHubReference = (text: string): boolean => text.startsWith("hf://");

const form = "hf://OWNER/NAME[@REVISION][/PATH] for a model, hf://datasets/OWNER/NAME[@REVISION]/PATH for data";
/** Letters, digits, `-`, `_` and `.` in both parts, neither beginning with a dot; revisions may have slashes if these are written %2F. */
const pattern = /^hf:\/\/(datasets\/|models\/)?([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([^/]+))?(?:\/(.*))?$/;

/** @throws InvalidArgument naming the text and the form that it must have */
export function parseHubReference(text: string): HubReference {
  const [, type, name, revision = "main", path = ""] = pattern.exec(text) ?? [];
  const parts = path.split("/").filter(Boolean);
  if (!name || parts.includes("..") || parts.includes("."))
    throw new RetortError("InvalidArgument", `${text} names nothing on a hub; write ${form}`);
  return { type: type === "datasets/" ? "dataset" : "model", name, revision: decodeURIComponent(revision), path: parts.join("/") };
}

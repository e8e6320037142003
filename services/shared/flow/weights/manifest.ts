import { RetortError } from "../../base/errors.js";
import { type WeightsManifest, WeightsManifestSchema } from "../../gen/retort/v1/flow_pb.js";
import { readRecord } from "../read-record.js";

/** The file of a version that says which files it has. */
export const manifestName = "manifest.binpb";

/** Reads a manifest. @throws DataLoss if it is none, another version's, or names files that do not lie beside it */
export function manifestOf(runId: string, version: number, bytes: Uint8Array): WeightsManifest {
  const what = `the manifest of run ${runId} version ${version}`;
  const refused = (why: string) => new RetortError("DataLoss", `${what} ${why}; the version was damaged or tampered with: use another one`);
  const manifest = readRecord(WeightsManifestSchema, bytes);
  if (manifest.runId !== runId || manifest.version !== version) throw refused("is another version's");
  if (manifest.files.some(({ name }) => !isFileName(name))) throw refused("names a file that does not lie beside it");
  return manifest;
}

/** Most bytes of one name, as file systems have it. */
const mostNameBytes = 255;

/** True for names of files that are in a version's own directory, or below it. */
const isFileName = (name: string): boolean =>
  name !== manifestName &&
  !name.includes("\0") &&
  name.split(/[/\\]/).every((part) => part !== "" && part !== "." && part !== ".." && Buffer.byteLength(part) <= mostNameBytes);

import { execFileSync } from "node:child_process";
import { createFileRegistry, type DescFile, type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { getComments } from "@bufbuild/protoplugin";

/**
 * The files of the protos with their comments, which generated code has as JSDoc alone: `getComments` finds them by these descriptors.
 * `npm run gen` and `npm run lint` have fetched what they import.
 */
export function describedProtos(): DescFile[] {
  const args = ["deploy/gen.mjs", "build", "--as-file-descriptor-set", "-o", "-#format=binpb"];
  const set = fromBinary(FileDescriptorSetSchema, execFileSync(process.execPath, args, { maxBuffer: 2 ** 26 }));
  return [...createFileRegistry(set).files].filter(({ proto }) => proto.package === "retort.v1");
}

/** A comment as one line; empty where there is none. */
export const commentLine = (desc: Parameters<typeof getComments>[0]): string =>
  (getComments(desc).leading ?? "").replace(/\s+/g, " ").trim();

/** The comments of messages and fields, by full name (`retort.v1.RunSpec`, `retort.v1.RunSpec.name`), each as one line. */
export function protoComments(): ReadonlyMap<string, string> {
  const of = (message: DescMessage): (readonly [string, string])[] => [
    [message.typeName, commentLine(message)],
    ...message.fields.map((field) => [`${message.typeName}.${field.name}`, commentLine(field)] as const),
    ...message.nestedMessages.flatMap(of),
  ];
  return new Map(describedProtos().flatMap(({ messages }) => messages.flatMap(of)));
}

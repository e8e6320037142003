import { execFileSync } from "node:child_process";
import { fromBinary } from "@bufbuild/protobuf";
import { type DescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The compiler of the protos, as npm installs it. */
const buf = "node_modules/.bin/buf";

/** Of a file's descriptor: its messages. Of a message's: its fields and the messages within it. */
const [messagesOfFile, fieldsOf, messagesWithin] = [4, 2, 3];

/**
 * The comments of the protos' messages and fields, by full name (`retort.v1.RunSpec`, `retort.v1.RunSpec.name`), each as one line. Generated
 * code has them as JSDoc alone, so that they are read from the protos; `npm run gen` and `npm run lint` have fetched what these import.
 */
export function protoComments(): ReadonlyMap<string, string> {
  const image = execFileSync(buf, ["build", "--as-file-descriptor-set", "-o", "-"], { maxBuffer: 2 ** 26 });
  const comments = new Map<string, string>();
  for (const { package: name, messageType, sourceCodeInfo } of fromBinary(FileDescriptorSetSchema, image).file) {
    const byPath = new Map(sourceCodeInfo?.location.map(({ path, leadingComments }) => [path.join("."), leadingComments]));
    const take = (fullName: string, path: string) => {
      const comment = byPath.get(path)?.replace(/\s+/g, " ").trim();
      if (comment) comments.set(fullName, comment);
    };
    const walk = (message: DescriptorProto, within: string, path: string) => {
      const fullName = `${within}.${message.name}`;
      take(fullName, path);
      for (const [i, field] of message.field.entries()) take(`${fullName}.${field.name}`, `${path}.${fieldsOf}.${i}`);
      for (const [i, nested] of message.nestedType.entries()) walk(nested, fullName, `${path}.${messagesWithin}.${i}`);
    };
    for (const [i, message] of messageType.entries()) walk(message, name, `${messagesOfFile}.${i}`);
  }
  return comments;
}

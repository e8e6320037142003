import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** What TensorBoard's event files consist of: tensorflow/core/util/event.proto and framework/summary.proto, by field numbers. */
const field = {
  event: { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 },
  summary: { value: 1 },
  value: { tag: 1, simpleValue: 2, tensor: 8, metadata: 9 },
  sessionLog: { status: 1 },
  metadata: { pluginData: 1, dataClass: 4 },
  pluginData: { pluginName: 1 },
  tensor: { dtype: 1, shape: 2, stringValue: 8 },
  shape: { dim: 2 },
  dim: { size: 1 },
} as const;

const [statusStart, typeString, classTensor] = [1, 7, 2] as const;

type Write = (writer: BinaryWriter) => void;

function message(writer: BinaryWriter, number: number, write: Write): void {
  writer.tag(number, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}

function event(wallSeconds: number, step: number, write: Write): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(field.event.wallTime, WireType.Bit64).double(wallSeconds);
  if (step !== 0) writer.tag(field.event.step, WireType.Varint).int64(step);
  write(writer);
  return writer.finish();
}

/** The first event of every file. */
export const versionEvent = (wallSeconds: number): Uint8Array =>
  event(wallSeconds, 0, (writer) => writer.tag(field.event.fileVersion, WireType.LengthDelimited).string("brain.Event:2"));

/** Makes TensorBoard forget what it has read of this step and later ones: they are trained again. */
export const restartEvent = (wallSeconds: number, step: number): Uint8Array =>
  event(wallSeconds, step, (writer) =>
    message(writer, field.event.sessionLog, (log) => log.tag(field.sessionLog.status, WireType.Varint).int32(statusStart)),
  );

/** Numbers of a step, by tag. */
export const scalarsEvent = (wallSeconds: number, step: number, values: readonly (readonly [tag: string, value: number])[]): Uint8Array =>
  event(wallSeconds, step, (writer) =>
    message(writer, field.event.summary, (summary) => {
      for (const [tag, number] of values)
        message(summary, field.summary.value, (value) => {
          value.tag(field.value.tag, WireType.LengthDelimited).string(tag);
          value.tag(field.value.simpleValue, WireType.Bit32).float(number);
        });
    }),
  );

/** A text of a step in Markdown, for the plugin `text`. */
export const textEvent = (wallSeconds: number, step: number, tag: string, text: string): Uint8Array =>
  event(wallSeconds, step, (writer) =>
    message(writer, field.event.summary, (summary) =>
      message(summary, field.summary.value, (value) => {
        value.tag(field.value.tag, WireType.LengthDelimited).string(tag);
        message(value, field.value.tensor, (tensor) => {
          tensor.tag(field.tensor.dtype, WireType.Varint).int32(typeString);
          message(tensor, field.tensor.shape, (shape) =>
            message(shape, field.shape.dim, (dim) => dim.tag(field.dim.size, WireType.Varint).int64(1)),
          );
          tensor.tag(field.tensor.stringValue, WireType.LengthDelimited).bytes(Buffer.from(text));
        });
        message(value, field.value.metadata, (metadata) => {
          message(metadata, field.metadata.pluginData, (plugin) =>
            plugin.tag(field.pluginData.pluginName, WireType.LengthDelimited).string("text"),
          );
          metadata.tag(field.metadata.dataClass, WireType.Varint).int32(classTensor);
        });
      }),
    ),
  );

/** The step of an event; 0 where it has none. */
export function stepOfEvent(data: Uint8Array): number {
  const reader = new BinaryReader(data);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === field.event.step) return Number(reader.int64());
    reader.skip(type, number);
  }
  return 0;
}

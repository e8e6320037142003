import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { ReflectionService } from "@grpc/reflection";

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/** Reflection (v1 and v1alpha) over generated services, for tools such as grpcurl. */
export function reflection(services: readonly DescService[]): ReflectionService {
  const files = new Map<string, Buffer>();
  const visit = (file: DescFile) => {
    if (files.has(file.name)) return;
    for (const dependency of file.dependencies) visit(dependency);
    files.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  };
  for (const service of services) visit(service.file);
  // The package takes the descriptors from any definition that @grpc/proto-loader made, and reads nothing else of it.
  const definitions = { "": { fileDescriptorProtos: [...files.values()] } } as unknown as PackageDefinition;
  return new ReflectionService(definitions, { services: services.map(({ typeName }) => typeName) });
}

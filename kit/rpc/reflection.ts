import { type DescFile, type DescService, type Registry, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';

/**
 * Lets clients ask a server for its contracts: reflection v1 and v1alpha, as grpcurl, buf curl and others use it.
 * @param registry types that no contract of a service names, because they come in a google.protobuf.Any.
 */
export function addReflection(server: Server, services: readonly DescService[], registry: Registry): void {
  const files = new Map<string, DescFile>();
  for (const { file } of [...services, ...registry]) collect(file, files);
  const fileDescriptorProtos = [...files.values()].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto)),
  );
  // Of a package definition the library reads the encoded files and nothing else.
  const definition = { contracts: { fileDescriptorProtos } } as unknown as ConstructorParameters<
    typeof ReflectionService
  >[0];
  new ReflectionService(definition, { services: services.map(({ typeName }) => typeName) }).addToServer(server);
}

function collect(file: DescFile, files: Map<string, DescFile>): void {
  if (files.has(file.name)) return;
  files.set(file.name, file);
  for (const dependency of file.dependencies) collect(dependency, files);
}

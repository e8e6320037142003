import { createHash } from "node:crypto";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import { cacheDirectory } from "../../../services/shared/base/cache-directory.js";
import { goModule } from "../../support/tools/go-tool.js";

/**
 * JSON schemas of what manifests may hold, as kubeconform reads them, made from what the projects publish: Kubernetes'
 * OpenAPI description and the CustomResourceDefinitions of KEDA and the Prometheus operator. Strict: a field that the
 * API does not know is an error.
 */
const kubernetes = "v1.34.0";
const customResources = [
  ["github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml"],
  [
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
  ],
  [
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
  ],
] as const;

type Schema = { [key: string]: unknown };
interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const directory = (): string => {
  const others = createHash("sha256").update(JSON.stringify(customResources)).digest("hex").slice(0, 8);
  return join(cacheDirectory(), `kubernetes-schemas-${kubernetes}-${others}`);
};

/** What kubeconform is given as -schema-location. */
export const schemaLocation = (): string => join(directory(), "{{.ResourceKind}}{{.KindSuffix}}.json");

/** Makes the schemas, unless they are there. */
export async function getSchemas(): Promise<void> {
  if (await stat(directory()).catch(() => undefined)) return;
  const unfinished = `${directory()}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  for (const [kind, schema] of [...(await ownKinds()), ...(await customKinds())])
    await writeFile(join(unfinished, fileOf(kind)), JSON.stringify(schema));
  await rename(unfinished, directory());
}

/** The file of a kind, as kubeconform names it: of the group it takes the part before the first dot. */
const fileOf = ({ group, version, kind }: Kind): string =>
  `${[kind.toLowerCase(), group.split(".")[0], version].filter((part) => part !== "").join("-")}.json`;

async function ownKinds(): Promise<[Kind, Schema][]> {
  const swagger = join(await goModule("k8s.io/kubernetes", kubernetes), "api/openapi-spec/swagger.json");
  const { definitions } = JSON.parse(await readFile(swagger, "utf8")) as { definitions: Record<string, Schema> };
  // JSON Schema has no such format; both types are right.
  Object.assign(definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]!, { type: ["integer", "string"], format: undefined });
  Object.assign(definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]!, { type: ["number", "string"] });
  for (const definition of Object.values(definitions)) forbidUnknown(definition);
  return Object.entries(definitions).flatMap(([name, definition]) => {
    const kinds = definition["x-kubernetes-group-version-kind"] as Kind[] | undefined;
    if (kinds?.length !== 1) return [];
    return [[kinds[0]!, { $ref: `#/definitions/${name}`, definitions: closure(name, definitions) }] as [Kind, Schema]];
  });
}

/** A definition and all that it refers to. */
function closure(name: string, definitions: Record<string, Schema>, into: Record<string, Schema> = {}): Record<string, Schema> {
  if (name in into) return into;
  into[name] = definitions[name]!;
  for (const [, next] of JSON.stringify(into[name]).matchAll(/"#\/definitions\/([^"]+)"/g)) closure(next!, definitions, into);
  return into;
}

async function customKinds(): Promise<[Kind, Schema][]> {
  const kinds = await Promise.all(
    customResources.map(async ([module, version, file]) => {
      const { spec } = parseYaml(await readFile(join(await goModule(module, version), file), "utf8")) as {
        spec: { group: string; names: { kind: string }; versions: { name: string; schema: { openAPIV3Schema: Schema } }[] };
      };
      return spec.versions.map(({ name, schema: { openAPIV3Schema } }): [Kind, Schema] => {
        const kind = { group: spec.group, version: name, kind: spec.names.kind };
        return [kind, { ...forbidUnknown(openAPIV3Schema), properties: { ...(openAPIV3Schema.properties as Schema), metadata: {} } }];
      });
    }),
  );
  return kinds.flat();
}

/** Closes every object that names its fields, all the way down. */
function forbidUnknown(schema: Schema): Schema {
  if (schema.properties && schema.additionalProperties === undefined && !schema["x-kubernetes-preserve-unknown-fields"])
    schema.additionalProperties = false;
  for (const value of Object.values(schema)) {
    for (const part of Array.isArray(value) ? value : [value]) if (part && typeof part === "object") forbidUnknown(part as Schema);
  }
  return schema;
}

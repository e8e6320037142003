import { type DescField, getOption, hasOption, ScalarType } from "@bufbuild/protobuf";
import { type FieldRules, field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** What a field must be, in YAML's words and with its bounds: `a number in [0, 1]`. Of a list, `item` asks about its items. */
export function meaningOf(field: DescField, of: "field" | "item" = "field"): string {
  const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
  if (field.fieldKind === "list") {
    const items = rules?.type.case === "repeated" ? rules.type.value.items : undefined;
    const one = field.listKind === "scalar" ? scalarMeaning(field.scalar, items) : "a map of fields";
    return of === "item" ? one : `a list, each item ${one}`;
  }
  if (field.fieldKind === "scalar") return scalarMeaning(field.scalar, rules);
  if (field.fieldKind === "enum") return `one of ${field.enum.values.map(({ name }) => name).join(", ")}`;
  return "a map of fields";
}

function scalarMeaning(scalar: ScalarType, rules: FieldRules | undefined): string {
  switch (scalar) {
    case ScalarType.BOOL:
      return "true or false";
    case ScalarType.BYTES:
      return "text in base64";
    case ScalarType.STRING: {
      const allowed = rules?.type.case === "string" ? rules.type.value.in.filter(Boolean) : [];
      return allowed.length ? `one of ${allowed.join(", ")}` : "text";
    }
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return `a number${boundsOf(rules)}`;
    default:
      return `a whole number${boundsOf(rules) || (isUnsigned(scalar) ? " from 0 on" : "")}`;
  }
}

const unsigned: readonly ScalarType[] = [ScalarType.UINT32, ScalarType.UINT64, ScalarType.FIXED32, ScalarType.FIXED64];
const isUnsigned = (scalar: ScalarType): boolean => unsigned.includes(scalar);

/** The bounds of a number's rules, as an interval; empty where there are none. */
function boundsOf(rules: FieldRules | undefined): string {
  const type = rules?.type;
  if (!type?.value || !("lessThan" in type.value && "greaterThan" in type.value)) return "";
  const { lessThan, greaterThan } = type.value;
  const unsignedRules = type.case === "uint32" || type.case === "uint64";
  const low = greaterThan.case ? `${greaterThan.case === "gt" ? "(" : "["}${numberText(greaterThan.value)}` : unsignedRules ? "[0" : "";
  const high = lessThan.case ? `${numberText(lessThan.value)}${lessThan.case === "lt" ? ")" : "]"}` : "";
  if (low && high) return ` in ${low}, ${high}`;
  if (low) return ` ${low.startsWith("(") ? "above" : "from"} ${low.slice(1)}${low.startsWith("(") ? "" : " on"}`;
  return high ? ` of at most ${high.slice(0, -1)}` : "";
}

const numberText = (value: unknown): string => String(value);

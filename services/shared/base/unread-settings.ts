import { z } from "zod";
import type { Problem } from "./errors.js";

/**
 * Which other settings decide whether a setting is read at all (`.meta()` of its schema), each as `name` or `name=value`; a name alone
 * means that it is set, and isn't false.
 */
export interface ReadWith {
  /** It is read with any of these alone. */
  readonly needs?: readonly string[];
  /** It is read with none of these. */
  readonly notWith?: readonly string[];
}

/** A setting's flag: `--health-port` for `healthPort`. */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/**
 * The settings that nothing reads beside the others, with the way out.
 *
 * @param isGiven tells settings that were given from defaults
 * @param said what a setting is called where it was given
 */
export function unreadSettings(
  schema: z.ZodObject,
  settings: Readonly<Record<string, unknown>>,
  isGiven: (name: string) => boolean,
  said: (name: string) => string,
): Problem[] {
  const words = (condition: string) => condition.replace(/^[^=]+/, said);
  const holds = (condition: string): boolean => {
    const [name = "", value] = condition.split("=");
    const actual = settings[name];
    return value === undefined ? actual !== undefined && actual !== false && actual !== "" : actual === value;
  };
  return Object.entries(schema.shape).flatMap(([name, field]) => {
    const { needs = [], notWith = [] } = (z.globalRegistry.get(field as z.core.$ZodType) ?? {}) as ReadWith;
    if (!isGiven(name)) return [];
    const against = notWith.find(holds);
    const known = needs.filter((condition) => condition.split("=")[0]! in schema.shape);
    const says = against
      ? `is not read with ${words(against)}; leave one of them out`
      : needs.length > 0 && !needs.some(holds)
        ? `is read only with ${known.map(words).join(" or ")}; add it, or leave ${said(name)} out`
        : undefined;
    return says ? [{ fieldPath: said(name), description: says }] : [];
  });
}

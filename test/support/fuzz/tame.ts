import type { DescMessage, Message } from "@bufbuild/protobuf";
import { eachText } from "./messages.js";

/**
 * Puts one of the allowed texts, chosen by what stood there, into each field of these names, so that no case writes outside of
 * the test's directory or asks hosts of others.
 *
 * @param allowed texts by the field's name
 * @returns true
 */
export function tameTexts(descriptor: DescMessage, message: Message, allowed: Readonly<Record<string, readonly string[]>>): true {
  eachText(descriptor, message, (name, value, set) => {
    const list = Object.hasOwn(allowed, name) ? allowed[name]! : undefined;
    if (list && !list.includes(value)) set(list[value.length % list.length]!);
  });
  return true;
}

import { Dict, DictView } from "../values/containers.js";
import { bind, required } from "../values/signature.js";
import { given, type Value } from "../values/value.js";
import type { Method, Methods } from "./method.js";

function plain(name: string, run: (dict: Dict) => Value): Method {
  return (self, args, keywords) => {
    bind({ name, parameters: [], required: 0, byName: false }, args, keywords);
    return run(self as Dict);
  };
}

const get: Method = (self, args, keywords) => {
  const [key, otherwise] = bind({ name: "get", parameters: ["key", "default"], required: 1, byName: false }, args, keywords);
  return given((self as Dict).get(required(key)), () => given(otherwise, () => null));
};

/** Methods of dicts. */
export const dictMethods: Methods = {
  clear: "changes",
  copy: plain("copy", (dict) => new Dict(dict.entries())),
  fromkeys: "lacks",
  get,
  items: plain("items", (dict) => new DictView("dict_items", dict)),
  keys: plain("keys", (dict) => new DictView("dict_keys", dict)),
  pop: "changes",
  popitem: "changes",
  setdefault: "changes",
  update: "changes",
  values: plain("values", (dict) => new DictView("dict_values", dict)),
};

import { createRequire } from "node:module";
import { readYamlWith, type YamlDocument, type YamlLibrary } from "./yaml-document.js";

/** Loaded when there is something to read: every role may have its settings in a file, and few do. */
const yaml = () => createRequire(import.meta.url)("yaml") as YamlLibrary;

/** Reads a YAML document, as {@link readYamlWith} does. */
export const readYaml = (text: string, what: string): YamlDocument => readYamlWith(yaml(), text, what);

/** Reads the value of a YAML document, as {@link readYaml} does. */
export const parseYaml = (text: string, what: string): unknown => readYaml(text, what).value;

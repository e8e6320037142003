import { PyObject, type Value } from "./value.js";

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;" };

/** A text that is safe HTML (`| safe`, `| escape`): what is joined to it is escaped. */
export class Markup extends PyObject {
  readonly type = "Markup";
  readonly text: string;

  constructor(text: string) {
    super();
    this.text = text;
  }

  override get truth(): boolean {
    return this.text !== "";
  }

  override iterate(): Iterator<Value> {
    return this.text[Symbol.iterator]();
  }

  override get hash(): unknown {
    return this.text;
  }

  override str(): string {
    return this.text;
  }
}

/** A text with HTML's special characters escaped. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>'"]/g, (character) => entities[character]!);
}

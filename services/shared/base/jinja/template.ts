import { Template as HuggingFaceTemplate } from "@huggingface/jinja";

/** A Jinja template, rendered as Python's Jinja2 renders it. */
export class Template {
  readonly #inner: HuggingFaceTemplate;

  /** @throws InvalidArgument with what the template's syntax lacks, and the line */
  constructor(source: string) {
    this.#inner = new HuggingFaceTemplate(source);
  }

  /** Names that the template reads and gives no value to. */
  get names(): readonly string[] {
    return [];
  }

  /**
   * @param values by name; functions are called with their positional arguments
   * @throws InvalidArgument with the template's reason
   */
  render(values: Readonly<Record<string, unknown>>): string {
    // The library brings these two itself and takes no others.
    const { raise_exception: _raise, strftime_now: _now, ...rest } = values;
    return this.#inner.render(rest);
  }
}

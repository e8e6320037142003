/** What a template does wrong, under the name of the exception that Python would raise. Template turns it into a RetortError. */
export class TemplateFault extends Error {
  /** Name of Python's exception: TemplateSyntaxError, UndefinedError, TypeError … */
  readonly kind: string;
  /** Line of the template, from 1. */
  line: number | undefined;

  constructor(kind: string, message: string, line?: number) {
    super(message);
    this.kind = kind;
    this.line = line;
  }
}

/** Throws a {@link TemplateFault}. */
export function raise(kind: string, message: string, line?: number): never {
  throw new TemplateFault(kind, message, line);
}

/** Refuses what Jinja has and this engine lacks, by its name. */
export function refuse(what: string): never {
  throw new TemplateFault("Unimplemented", `${what} is not supported here; write the template without it`);
}

/** What goes wrong in a template: as Python says it, with the line where that is known. */
export class TemplateFailure extends Error {
  line: number | undefined;

  constructor(message: string, line?: number) {
    super(message);
    this.line = line;
  }
}

/** A block of code of a Markdown file. */
export interface CodeBlock {
  readonly text: string;
  /** What the fence names; empty of an indented block. */
  readonly language: string;
  /** Line of its first line in the file, from 1. */
  readonly line: number;
}

/**
 * The blocks of code of a Markdown file, fenced or indented by four spaces behind an empty line, in order. What is indented below a
 * list's item is the item's text.
 */
export function blocksOf(markdown: string): CodeBlock[] {
  const lines = markdown.split("\n");
  const blocks: CodeBlock[] = [];
  let inList = false;
  for (let i = 0; i < lines.length; i++) {
    const [, indent = "", fence, language = ""] = /^(\s*)(```+|~~~+)\s*(\w*)/.exec(lines[i] ?? "") ?? [];
    if (fence) {
      const end = lines.findIndex((line, n) => n > i && line.trim() === fence);
      if (end < 0) throw new Error(`the fence of line ${i + 1} is never closed`);
      const text = lines.slice(i + 1, end).map((line) => line.replace(new RegExp(`^\\s{0,${indent.length}}`), ""));
      blocks.push({ text: `${text.join("\n")}\n`, language, line: i + 2 });
      i = end;
      continue;
    }
    if (/^\s*([-*+]|\d+\.) /.test(lines[i] ?? "")) inList = true;
    else if (/^\S/.test(lines[i] ?? "")) inList = false;
    if (inList || !/^ {4}\S/.test(lines[i] ?? "") || (i > 0 && lines[i - 1]?.trim())) continue;
    let end = i;
    for (let n = i; n < lines.length && (/^ {4}/.test(lines[n] ?? "") || !lines[n]?.trim()); n++) if (lines[n]?.trim()) end = n;
    blocks.push({
      text: `${lines
        .slice(i, end + 1)
        .map((line) => line.slice(4))
        .join("\n")}\n`,
      language: "",
      line: i + 1,
    });
    i = end;
  }
  return blocks;
}

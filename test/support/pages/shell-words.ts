/**
 * The commands of a shell block, each as its words: without comments, quotes and the assignments before them. Lines that a backslash or
 * an open quote carries on are one; `&&`, `;` and `|` end a command. What a shell would put in (`$PWD`, `$(…)`) stays as it is written.
 * In a block with prompts (`$ `), lines without one are what was printed.
 */
export function commandsOf(block: string): string[][] {
  const hasPrompts = /^\$ /m.test(block);
  const lines = hasPrompts ? block.split("\n").filter((line) => line.startsWith("$ ")) : [block];
  return lines
    .flatMap((line) => split(hasPrompts ? line.slice(2) : line))
    .map(withoutAssignments)
    .filter(({ length }) => length > 0);
}

/** What ends a command, outside of quotes. */
const ends = /^(?:&&|\|\||[\n;|])/;

function split(text: string): string[][] {
  const commands: string[][] = [[]];
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const end = ends.exec(rest)?.[0];
    const skipped = /^(?:[ \t]+|\\\n|#[^\n]*)/.exec(rest)?.[0];
    if (end) commands.push([]);
    const word = end || skipped ? "" : wordAt(rest);
    if (word) commands.at(-1)?.push(unquoted(word));
    at += (end ?? skipped ?? word).length;
  }
  return commands;
}

/** The word that a text begins with, quotes and all. */
function wordAt(text: string): string {
  const found = /^(?:'[^']*'|"(?:\\[\s\S]|[^"\\])*"|\$\([^)]*\)|\\[^\n]|[^\s'"\\;|&])+/.exec(text)?.[0];
  if (!found) throw new Error(`this is no word of a shell: ${text.slice(0, 40)}`);
  return found;
}

const unquoted = (word: string): string =>
  word.replace(
    /(\$\([^)]*\))|'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"/g,
    (_, run?: string, single?: string, double?: string) => run ?? single ?? (double ?? "").replace(/\\(["\\$`])/g, "$1"),
  );

const withoutAssignments = (words: string[]): string[] => words.slice(words.findIndex((word) => !/^[A-Z_]+=/.test(word)));

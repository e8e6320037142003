/** A value as an error shows it: JSON, as far as a line holds it, and of a list the first elements. */
export function shown(value: unknown): string {
  const text = Array.isArray(value)
    ? `[${value.slice(0, 8).map(shown).join()}${value.length > 8 ? ",…" : ""}]`
    : typeof value === "bigint"
      ? String(value)
      : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 80)} …` : text;
}

/** Edits of a text. Knows nothing of VS Code. */

/** In UTF-16 code units of the text before any edit. */
export interface OffsetEdit {
  start: number;
  end: number;
  newText: string;
}

/** The text after all edits, which do not overlap. */
export function applyEdits(text: string, edits: readonly OffsetEdit[]): string {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const parts = [];
  let done = 0;
  for (const { start, end, newText } of edits.toSorted((a, b) => a.start - b.start)) {
    parts.push(text.slice(done, start), newText.replaceAll(/\r?\n/g, eol));
    done = end;
  }
  return parts.join('') + text.slice(done);
}

/** Texts that grow while the user types along them. Knows nothing of VS Code. */

/** A change of a document, in UTF-16 code units, as VS Code reports it. */
export interface Change {
  rangeOffset: number;
  rangeLength: number;
  text: string;
}

/** What an editor inserts at one key, the cursor between. */
const PAIRS = ['()', '[]', '{}', '""', "''", '``', '<>'];

/**
 * What stands between `start` and the cursor after a change there: the user typed, accepted or took
 * back something right before the cursor. Null if the change was anywhere else.
 */
export function typedAfter(start: number, typed: string, change: Change): string | null {
  const keep = change.rangeOffset - start;
  const reachesCursor = change.rangeOffset + change.rangeLength === start + typed.length;
  return keep >= 0 && reachesCursor ? typed.slice(0, keep) + change.text : null;
}

/** What is left of `text` after what was typed of it; null if something else was typed. */
export function restAfter(text: string, typed: string): string | null {
  const typedLines = typed.replaceAll('\r\n', '\n');
  return text.startsWith(typedLines) ? text.slice(typedLines.length) : null;
}

/**
 * Whether an insertion along the shown text is an accepted part of it. VS Code does not tell, but a
 * key inserts one character, a line break with its indentation, or a pair of brackets or quotes.
 */
export function isAcceptedPart(insertion: string): boolean {
  const isLineBreak = /^\r?\n\s*$/.test(insertion);
  return numCodePoints(insertion) > 1 && !PAIRS.includes(insertion) && !isLineBreak;
}

/** Where the cursor is after a key that inserted something; null if it was anything but a key, or the
 * editor has put line breaks on both sides of the cursor. */
export function cursorAfterKey({ rangeOffset, text }: Change): number | null {
  if (text === '' || isAcceptedPart(text) || text.split('\n').length > 2) {
    return null;
  }
  return rangeOffset + (PAIRS.includes(text) ? 1 : text.length);
}

/** Python counts code points, JavaScript UTF-16 code units. */
export function numCodePoints(text: string): number {
  return Array.from(text).length;
}

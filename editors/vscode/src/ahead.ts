/** Asks for a completion as soon as a key is typed: VS Code waits 50 ms by itself before it asks. */
import { TextDocumentChangeReason, window, workspace, type Position, type TextDocumentChangeEvent } from 'vscode';
import { cursorAfterKey } from './growth';

/** VS Code may have been told to ask for nothing (its own snooze), which no extension can see: it is
 * expected to ask only as long as its last request of its own is no older than this. */
const EXPECTED_FOR_MS = 2000;

/** Owns what is known of when VS Code asks. */
export class Ahead {
  private lastAsked = -Infinity;

  /** VS Code has asked by itself. */
  asked(): void {
    this.lastAsked = performance.now();
  }

  /** Where VS Code is about to ask after a change: behind a key that the user has typed. */
  expectedAt({ document, contentChanges, reason }: TextDocumentChangeEvent): Position | undefined {
    const [change, ...others] = contentChanges;
    const editor = window.activeTextEditor;
    if (
      !change ||
      others.length > 0 ||
      reason === TextDocumentChangeReason.Undo ||
      reason === TextDocumentChangeReason.Redo ||
      editor?.document !== document ||
      editor.selections.length > 1 ||
      performance.now() - this.lastAsked > EXPECTED_FOR_MS ||
      !workspace.getConfiguration('editor.inlineSuggest', document).get<boolean>('enabled', true)
    ) {
      return undefined;
    }
    const cursor = cursorAfterKey(change);
    return cursor === null ? undefined : document.positionAt(cursor);
  }
}

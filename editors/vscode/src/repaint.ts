/** Shows a text that has grown since VS Code asked for it. */
import { commands, window, type Disposable } from 'vscode';
import type { Stream } from './stream';

/** Nor is it painted sooner than this after a key, which may be followed by another. */
const MIN_INTERVAL_MS = 150;
const MIN_WAIT_MS = 10;

/**
 * VS Code asks for a completion again only after a key. Hiding and triggering is the one way of the
 * stable API to have it ask before that. It blinks for a few frames: so it is done once, when the text is
 * whole. Until then the first line is there, and each key brings what there is.
 */
export class Repaint implements Disposable {
  isPainting = false;
  private timer: NodeJS.Timeout | undefined;
  private earliest = 0;

  constructor(private readonly isCurrent: (stream: Stream) => boolean) {}

  dispose(): void {
    clearTimeout(this.timer);
  }

  /** A key was pressed: the request that it makes gets the longer text anyway. */
  typed(): void {
    this.earliest = performance.now() + MIN_INTERVAL_MS;
  }

  /** Paint soon, unless the text or the cursor are elsewhere by then. */
  schedule(stream: Stream): void {
    clearTimeout(this.timer);
    const wait = this.earliest - performance.now();
    this.timer = setTimeout(() => { this.paintIfDue(stream); }, Math.max(MIN_WAIT_MS, wait));
  }

  private paintIfDue(stream: Stream): void {
    if (this.isPainting || performance.now() < this.earliest) {
      this.schedule(stream);
    } else if (this.isCurrent(stream) && stream.hasMoreThanShown && isCursorAt(stream)) {
      void this.paint();
    }
  }

  /** Have VS Code ask now. Its explicit request is the quickest: others wait for further keys. */
  async paint(): Promise<void> {
    this.isPainting = true;
    this.earliest = performance.now() + MIN_INTERVAL_MS;
    try {
      // Both are sent before either is waited for, so that they fall into one frame.
      void commands.executeCommand('editor.action.inlineSuggest.hide');
      await commands.executeCommand('editor.action.inlineSuggest.trigger');
    } finally {
      this.isPainting = false;
    }
  }
}

function isCursorAt(stream: Stream): boolean {
  const editor = window.activeTextEditor;
  return (
    editor?.document === stream.document &&
    editor.selections.length === 1 &&
    editor.selection.isEmpty &&
    stream.isAt(editor.selection.active) &&
    Boolean(stream.rest) &&
    !stream.isBesideSuggestions
  );
}

/** Shows a text that has grown since VS Code asked for it. */
import { commands, languages, window, type Disposable } from 'vscode';
import type { Stream } from './stream';

/** Nor is it painted sooner than this after a key, which may be followed by another. */
const MIN_INTERVAL_MS = 150;
const MIN_WAIT_MS = 10;

const HIDE = 'editor.action.inlineSuggest.hide';
const TRIGGER = 'editor.action.inlineSuggest.trigger';
const SHOW_NEXT = 'editor.action.inlineSuggest.showNext';

/** VS Code asks for a completion some time after a key, and not again before the next one. */
export class Repaint implements Disposable {
  /** While this is true, VS Code asks on our behalf. */
  isPainting = false;
  private numAnswers = 0;
  private timer: NodeJS.Timeout | undefined;
  private earliest = 0;

  constructor(
    private readonly isCurrent: (stream: Stream) => boolean,
    private readonly onError: (error: unknown) => void,
  ) {}

  dispose(): void {
    clearTimeout(this.timer);
  }

  /** A key was pressed: the request that it makes gets the longer text anyway. */
  typed(): void {
    this.earliest = performance.now() + MIN_INTERVAL_MS;
  }

  /** VS Code has asked while painting, and got what there is. */
  answered(): void {
    this.numAnswers++;
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
    } else if (this.canPaint(stream) && stream.hasMoreThanShown) {
      (stream.isInvoked ? this.paintWhole(stream) : this.paintOver(stream)).catch(this.onError);
    }
  }

  /**
   * Paint the longer text over the shorter, without a frame between. VS Code keeps what it shows until an
   * explicit request is answered, and then has the answer behind it as an alternative. Once that is what
   * it shows, a further request leaves nothing of the shorter text, which an edit would bring back.
   */
  private async paintOver(stream: Stream): Promise<void> {
    const before = this.numAnswers;
    await this.ask(async () => {
      await askAgain(stream);
      let answered = 0;
      // What has grown between the two requests is behind what is shown once more.
      while (this.numAnswers > before && stream.shownLength > answered && this.canPaint(stream)) {
        answered = stream.shownLength;
        await commands.executeCommand(SHOW_NEXT);
        await askAgain(stream);
      }
    });
    if (this.numAnswers === before) {
      await this.paintWhole(stream); // an older VS Code, to which providers are all the same
    }
  }

  /** Once, when the text is whole: it blinks. Of alternatives, none may be a shorter version of another. */
  private async paintWhole(stream: Stream): Promise<void> {
    if (stream.isDone && this.canPaint(stream)) {
      await this.paintAnew();
    }
  }

  /** Have VS Code forget what it shows, and ask. */
  async paintAnew(): Promise<void> {
    await this.ask(async () => {
      // Both are sent before either is waited for, so that they fall into one frame.
      void commands.executeCommand(HIDE);
      await commands.executeCommand(TRIGGER);
    });
  }

  private async ask(commandsOf: () => Promise<void>): Promise<void> {
    this.isPainting = true;
    this.earliest = performance.now() + MIN_INTERVAL_MS;
    try {
      await commandsOf();
    } finally {
      this.isPainting = false;
    }
  }

  private canPaint(stream: Stream): boolean {
    const editor = window.activeTextEditor;
    return (
      this.isCurrent(stream) &&
      editor?.document === stream.document &&
      editor.selections.length === 1 &&
      editor.selection.isEmpty &&
      stream.isAt(editor.selection.active) &&
      Boolean(stream.rest) &&
      stream.suggested === undefined
    );
  }
}

/** An explicit request. VS Code makes none while it has the answer of all providers there are: so there is
 * one more of them meanwhile. */
async function askAgain({ document }: Stream): Promise<void> {
  const nobody = languages.registerInlineCompletionItemProvider(
    { language: document.languageId },
    { provideInlineCompletionItems: () => [] },
  );
  try {
    await commands.executeCommand(TRIGGER);
  } finally {
    nobody.dispose();
  }
}

/** One request for a completion, from asking to the end of its text's use. */
import {
  CancellationTokenSource,
  InlineCompletionItem,
  Range,
  type Disposable,
  type Position,
  type TextDocument,
} from 'vscode';
import type { InlineCompletionParams, LanguageClient } from 'vscode-languageclient/node';
import { numCodePoints, restAfter, typedAfter, type Change } from './growth';
import { ACCEPTED, inlineCompletionRequest, itemListProgress, type Item, type ItemList } from './protocol';

let numStreams = 0;

/** The text that the server writes at one place, and what the user has typed of it since. */
export class Stream {
  isDone = false;
  /** How long the longest text that VS Code got was, and how many alternatives came with it. */
  shownLength = 0;
  numShown = 0;
  /** Requests of VS Code that wait for text: two editors may show the document. */
  numWaiting = 0;
  /** Somebody waits for its alternatives, before the text of an earlier stream. */
  isAwaited = false;
  /** The server was asked before VS Code did, which has not since. */
  isUnasked = false;
  /** VS Code takes a repaint for a request by hand, and asks for no alternatives after it. */
  isRepainted = false;
  /** From asking to the first text, in ms. Null before, and for a text that was there already. */
  latency: number | null = null;

  private items: readonly Item[] = [];
  private typed = '';
  private readonly start: number;
  private readonly asked = performance.now();
  private readonly cancellation = new CancellationTokenSource();
  private progress: Disposable | undefined;
  private wake: () => void = () => undefined;
  private nextChange = this.anotherChange();

  /** The suggestion that is chosen now. */
  suggested: string | undefined;

  /** `askedWith`: what the suggestion chosen in VS Code's list would insert at the cursor. While the list
   * is open, only texts that go on from there are shown; undefined where none is open. */
  constructor(
    readonly document: TextDocument,
    position: Position,
    readonly isInvoked: boolean,
    private readonly askedWith: string | undefined,
  ) {
    this.suggested = askedWith;
    this.start = document.offsetAt(position);
  }

  /** Ask the server. `onGrowth` is called each time there is more; nothing is ever thrown. */
  begin(
    client: LanguageClient,
    params: InlineCompletionParams,
    onGrowth: () => void,
    onError: (error: unknown) => void,
  ): void {
    const partialResultToken = `inkling-${++numStreams}`;
    const grow = (list: ItemList | null, isDone: boolean) => {
      this.grow(list, isDone);
      onGrowth();
    };
    this.progress = client.onProgress(itemListProgress, partialResultToken, (list) => {
      grow(list, false);
    });
    client
      .sendRequest(inlineCompletionRequest, { ...params, partialResultToken }, this.cancellation.token)
      .then(
        (list) => { grow(list, true); },
        (error: unknown) => {
          if (!this.cancellation.token.isCancellationRequested) {
            onError(error);
          }
          grow(null, true);
        },
      );
  }

  /** Stop the server's work on it; what has come stays. */
  cancel(): void {
    this.cancellation.cancel();
  }

  /** Resolves when there is more text, or the end of it. */
  get changed(): Promise<void> {
    return this.nextChange;
  }

  /** Follow an edit of the document; false when it does not agree with the text. */
  follow(change: Change): boolean {
    const typed = typedAfter(this.start, this.typed, change);
    if (typed === null) {
      return false;
    }
    this.typed = typed;
    return this.rest !== null && this.text !== '';
  }

  /** Whether the cursor is where the text goes on. */
  isAt(position: Position): boolean {
    return this.document.offsetAt(position) === this.start + this.typed.length;
  }

  get text(): string {
    return this.items[0]?.insertText ?? '';
  }

  /** What the user has not typed of it yet; null when something else was typed. */
  get rest(): string | null {
    return restAfter(this.text, this.typed);
  }

  get isTypedInto(): boolean {
    return this.typed !== '';
  }

  /** Whether some of what VS Code shows is still before the cursor. */
  get isShownAhead(): boolean {
    return this.rest !== null && this.text.length - this.rest.length < this.shownLength;
  }

  get hasMoreThanShown(): boolean {
    const hasFirstAlternatives = this.isDone && this.numShown === 1 && this.items.length > 1;
    return this.shownLength > 0 && (this.text.length > this.shownLength || hasFirstAlternatives);
  }

  /** The rest of each item, for VS Code to show at the cursor. */
  show(position: Position): InlineCompletionItem[] {
    const shown = this.items.flatMap((item) => this.shownItem(item, position) ?? []);
    if (shown.length > 0) {
      this.shownLength = this.text.length;
      this.numShown = shown.length;
    }
    return shown;
  }

  /** Whether it is what to show with this suggestion chosen. Without one, not what goes on from another. */
  goesOnFrom(suggested: string | undefined): boolean {
    if (!suggested) {
      return !this.askedWith || this.typed.startsWith(this.askedWith);
    }
    const isAskedFor = !this.isTypedInto && this.askedWith === suggested;
    return isAskedFor || (this.rest ?? '').startsWith(suggested);
  }

  /** What tells the server that the text was accepted up to the cursor. */
  get acceptedSoFar(): [id: unknown, length: number] {
    return [this.items[0]?.command?.arguments?.[0], numCodePoints(this.typed.replaceAll('\r\n', '\n'))];
  }

  private shownItem(item: Item, position: Position): InlineCompletionItem | null {
    const rest = restAfter(item.insertText, this.typed);
    if (!rest) {
      return null;
    }
    const id = item.command?.arguments?.[0];
    // Of a text that is still being written, only what was shown can have been accepted.
    const accepted = this.isDone ? [id] : [id, numCodePoints(item.insertText)];
    return new InlineCompletionItem(rest, new Range(position, position), {
      title: '',
      command: ACCEPTED,
      arguments: accepted,
    });
  }

  private grow(list: ItemList | null, isDone: boolean): void {
    if (this.isDone) {
      return;
    }
    if (list) {
      if (this.text === '' && list.items.length > 0 && !list.origin?.fromCache) {
        this.latency = performance.now() - this.asked;
      }
      this.items = list.items;
    }
    this.isDone = isDone;
    if (isDone) {
      this.progress?.dispose();
    }
    const wake = this.wake;
    this.nextChange = this.anotherChange();
    wake();
  }

  private anotherChange(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}

/** Inline completions: which stream answers VS Code, and when one ends. */
import {
  CancellationTokenSource,
  commands,
  EventEmitter,
  InlineCompletionTriggerKind,
  Range,
  window,
  workspace,
  type CancellationToken,
  type Disposable,
  type InlineCompletionContext,
  type InlineCompletionItem,
  type LogOutputChannel,
  type Position,
  type TextDocument,
  type TextDocumentChangeEvent,
  type TextEditor,
} from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { Ahead } from './ahead';
import { isAcceptedPart } from './growth';
import { ACCEPTED } from './protocol';
import { Repaint } from './repaint';
import { Stream } from './stream';

const BY_HAND = { triggerKind: InlineCompletionTriggerKind.Invoke };
const BY_ITSELF = { triggerKind: InlineCompletionTriggerKind.Automatic };
const NO_SUGGESTIONS = { selectedCompletionInfo: undefined };

/** Owns the newest stream of each document. */
export class Completions implements Disposable {
  private readonly streams = new Map<TextDocument, Stream>();
  private readonly repaint = new Repaint(
    (stream) => this.streams.get(stream.document) === stream,
    (error) => { this.log.error('A longer text was not shown.', error); },
  );
  private readonly ahead = new Ahead();
  private readonly latencyEmitter = new EventEmitter<number>();
  private readonly subscriptions: Disposable[];

  /** Fires with the ms from asking to the first text, for each call of the model. */
  readonly onLatency = this.latencyEmitter.event;

  /** `client` is the running one, if any. */
  constructor(
    private readonly client: () => LanguageClient | undefined,
    private readonly log: LogOutputChannel,
  ) {
    this.subscriptions = [
      this.latencyEmitter,
      this.repaint,
      workspace.onDidChangeTextDocument((event) => { this.follow(event); }),
      workspace.onDidCloseTextDocument((document) => { this.end(document); }),
      window.onDidChangeTextEditorSelection(({ textEditor }) => {
        // Not that of another editor of the document, whose cursor is elsewhere.
        if (textEditor === window.activeTextEditor) {
          this.leave(textEditor);
        }
      }),
      commands.registerCommand('inkling.dismiss', () => this.dismiss()),
      commands.registerCommand('inkling.showAlternative', () => this.showAlternative()),
    ];
  }

  dispose(): void {
    for (const document of [...this.streams.keys()]) {
      this.end(document);
    }
    for (const subscription of this.subscriptions) {
      subscription.dispose();
    }
  }

  /** What VS Code shows at the cursor. Never throws, and answers with the first finished line. */
  async provide(
    document: TextDocument,
    position: Position,
    context: InlineCompletionContext,
    token: CancellationToken,
  ): Promise<InlineCompletionItem[]> {
    try {
      const current = this.streams.get(document);
      const suggested = suggestedAt(document, position, context);
      const isHere = current?.isAt(position) && current.goesOnFrom(suggested);
      const here = isHere ? current : undefined;
      const isByHand = context.triggerKind === InlineCompletionTriggerKind.Invoke;
      const isInvoked = isByHand && !this.repaint.isPainting;
      if (!isByHand) {
        this.ahead.asked();
      }
      if (here) {
        here.suggested = suggested;
      }
      if (here && isByHand && this.repaint.isPainting) {
        here.isRepainted = true;
        here.isUnasked = false;
        this.repaint.answered();
        const shown = here.show(position);
        this.tellKeys(here);
        return shown;
      }
      const hasAlternatives = here?.isInvoked && !here.isTypedInto;
      if (here && (isInvoked ? hasAlternatives : !here.isDone || here.isUnasked)) {
        const isUnasked = here.isUnasked;
        here.isUnasked = false;
        const shown = await this.first(here, isInvoked && here.shownLength > 0, position, token);
        const isAnswered = isUnasked && !here.isTypedInto;
        if (shown.length > 0 || isAnswered || token.isCancellationRequested) {
          return shown;
        }
      }
      const isCycling = isInvoked && here !== undefined && here.shownLength > 0;
      const stream = this.ask(document, position, isInvoked ? context : { ...context, ...BY_ITSELF });
      return stream ? await this.first(stream, isCycling, position, token) : [];
    } catch (error) {
      this.log.error('An inline completion failed.', error);
      return [];
    }
  }

  /** Send a change to the server, and ask at once where VS Code is about to. */
  async didChange(
    event: TextDocumentChangeEvent,
    send: (event: TextDocumentChangeEvent) => Promise<void>,
  ): Promise<void> {
    const { document } = event;
    const version = document.version;
    const position = this.ahead.expectedAt(event);
    await send(event);
    try {
      if (position && document.version === version && !this.streams.has(document)) {
        const stream = this.ask(document, position, { ...BY_ITSELF, ...NO_SUGGESTIONS });
        if (stream) {
          stream.isUnasked = true;
        }
      }
    } catch (error) {
      this.log.error('An inline completion was not asked for.', error);
    }
  }

  /** Ask the server. It goes on with what it writes already where that agrees with what was typed. */
  private ask(
    document: TextDocument,
    position: Position,
    context: InlineCompletionContext,
  ): Stream | undefined {
    const client = this.client();
    if (!client) {
      return undefined;
    }
    const isInvoked = context.triggerKind === InlineCompletionTriggerKind.Invoke;
    const stream = new Stream(document, position, isInvoked, suggestedAt(document, position, context));
    const older = this.streams.get(document);
    this.streams.set(document, stream);
    const params = client.code2ProtocolConverter.asInlineCompletionParams(document, position, context);
    stream.begin(
      client,
      params,
      () => { this.grown(stream); },
      (error) => { this.log.error('The server did not complete.', error); },
    );
    // Only now: the newer request has superseded it, and has taken over what it can use.
    older?.cancel();
    return stream;
  }

  /** Wait for text, or for all of it `withAlternatives`, and show it. */
  private async first(
    stream: Stream,
    withAlternatives: boolean,
    position: Position,
    token: CancellationToken,
  ): Promise<InlineCompletionItem[]> {
    const cancelled = new Promise<void>((resolve) => token.onCancellationRequested(() => { resolve(); }));
    const isEnough = () => stream.isDone || (Boolean(stream.rest) && !withAlternatives);
    stream.numWaiting++;
    while (!isEnough() && !token.isCancellationRequested) {
      await Promise.race([stream.changed, cancelled]);
    }
    stream.numWaiting--;
    if (token.isCancellationRequested) {
      const isUnseen = stream.shownLength === 0 && stream.numWaiting === 0;
      if (isUnseen && this.streams.get(stream.document) === stream) {
        // The server goes on for a moment by itself: the next key often agrees with what it writes.
        this.end(stream.document);
      }
      return [];
    }
    const shown = stream.isAt(position) ? stream.show(position) : [];
    this.tellKeys(stream);
    return shown;
  }

  private grown(stream: Stream): void {
    if (this.streams.get(stream.document) !== stream) {
      return;
    }
    if (stream.latency !== null) {
      this.latencyEmitter.fire(stream.latency);
      stream.latency = null;
    }
    if (stream.rest === null) {
      this.end(stream.document);
    } else if (stream.hasMoreThanShown) {
      this.repaint.schedule(stream);
    }
    this.tellKeys(stream);
  }

  private follow({ document, contentChanges }: TextDocumentChangeEvent): void {
    const stream = this.streams.get(document);
    const [change, ...others] = contentChanges;
    if (!stream || !change) {
      return;
    }
    this.repaint.typed();
    if (others.length > 0 || !stream.follow(change)) {
      this.end(document);
    } else if (stream.isShownAhead && isAcceptedPart(change.text) && change.text !== stream.suggested) {
      void commands.executeCommand(ACCEPTED, ...stream.acceptedSoFar).then(undefined, (error: unknown) => {
        this.log.error('The server did not note what was accepted.', error);
      });
    }
  }

  private leave({ document, selection }: TextEditor): void {
    if (this.streams.get(document)?.isAt(selection.active) === false) {
      this.end(document);
    }
  }

  /** The user does not want it: stop, and do not bring it back. */
  private async dismiss(): Promise<void> {
    const document = window.activeTextEditor?.document;
    if (document) {
      this.end(document);
    }
    await commands.executeCommand('editor.action.inlineSuggest.hide');
  }

  /** Show the next text where VS Code would not ask or wait for alternatives. */
  private async showAlternative(): Promise<void> {
    const editor = window.activeTextEditor;
    const stream = editor && this.withAlternatives(editor);
    if (stream) {
      stream.isAwaited = true;
      this.tellKeys(stream);
      await this.first(stream, true, editor.selection.active, new CancellationTokenSource().token);
      stream.isAwaited = false;
      if (this.streams.get(editor.document) !== stream) {
        return; // dismissed meanwhile, or typed on
      }
      await this.repaint.paintAnew();
    }
    await commands.executeCommand('editor.action.inlineSuggest.showNext');
  }

  private withAlternatives({ document, selection }: TextEditor): Stream | undefined {
    const current = this.streams.get(document);
    if (!current?.isAt(selection.active)) {
      return undefined;
    }
    return current.isInvoked ? current : this.ask(document, selection.active, { ...BY_HAND, ...NO_SUGGESTIONS });
  }

  private end(document: TextDocument): void {
    const stream = this.streams.get(document);
    if (stream) {
      this.streams.delete(document);
      stream.cancel();
      this.tellKeys(stream);
    }
  }

  /** When VS Code's keys would do the wrong thing: Esc does not end a text that grows, so that its next
   * line would bring it back, and Alt+] does not wait for alternatives that are still being written, nor
   * ask for any after a repaint. */
  private tellKeys(stream: Stream): void {
    const isCurrent = this.streams.get(stream.document) === stream;
    const isShown = isCurrent && (stream.shownLength > 0 || stream.isAwaited);
    const isStreaming = isShown && (!stream.isDone || stream.hasMoreThanShown);
    const lacksAlternatives = stream.isInvoked ? isStreaming : stream.isRepainted;
    void commands.executeCommand('setContext', 'inkling.streaming', isStreaming);
    void commands.executeCommand('setContext', 'inkling.lacksAlternatives', isShown && lacksAlternatives);
  }
}

/** What the suggestion chosen in VS Code's list would insert at the cursor: "" if it would change what stands
 * there, undefined without a list. */
function suggestedAt(
  document: TextDocument,
  position: Position,
  { selectedCompletionInfo: chosen }: InlineCompletionContext,
): string | undefined {
  if (!chosen) {
    return undefined;
  }
  const typed = document.getText(new Range(chosen.range.start, position));
  const goesOn = chosen.range.end.isEqual(position) && chosen.text.startsWith(typed);
  return goesOn ? chosen.text.slice(typed.length) : '';
}

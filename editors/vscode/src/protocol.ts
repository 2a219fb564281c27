/** What Inkling's server understands beyond LSP: see docs/protocol.md. */
import {
  NotificationType,
  ProgressType,
  RequestType,
  type InlineCompletionParams,
  type Position,
  type TextDocumentIdentifier,
  type WorkspaceEdit,
} from 'vscode-languageclient/node';

/** The command of every item, by which the server learns what was accepted. */
export const ACCEPTED = 'inkling.accepted';

/** One completion: the model's, or an alternative to it. Its text only ever grows. */
export interface Item {
  insertText: string;
  command?: { command: string; arguments?: unknown[] };
}

export interface ItemList {
  items: Item[];
  /** `fromCache`: an earlier request made the text; `silence`: why a final list is empty. */
  origin?: { fromCache: boolean; silence: string };
}

export const itemListProgress = new ProgressType<ItemList>();

export const inlineCompletionRequest = new RequestType<
  InlineCompletionParams & { partialResultToken: string },
  ItemList | null,
  void
>('inkling/inlineCompletion');

export interface ServerStatus {
  state: 'starting' | 'ready' | 'off' | 'error';
  model: string;
  kind: string;
  /** "this machine", or the host that the prompt goes to. Older servers do not say. */
  where?: string;
  /** Why the last request got nothing; empty when it got something. */
  reason: string;
  /** The engine's log file: only in the answer to a request. */
  log?: string;
}

export const statusRequest = new RequestType<object, ServerStatus, void>('inkling/status');
export const didChangeStatus = new NotificationType<ServerStatus>('inkling/didChangeStatus');

/** Pages that the server writes in Markdown. */
export const traceRequest = new RequestType<object, { text: string }, void>('inkling/trace');
export const statisticsRequest = new RequestType<object, { text: string }, void>(
  'inkling/statistics',
);

export interface WrittenFunction {
  edit: WorkspaceEdit | null;
  text: string;
  /** Why nothing was written; empty when something was. */
  message: string;
}

export const writeFunctionRequest = new RequestType<
  { textDocument: TextDocumentIdentifier; position: Position; workDoneToken: string },
  WrittenFunction,
  void
>('inkling/writeFunction');

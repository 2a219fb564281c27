/** `Inkling: Write Function From Comment`: from asking to what is proposed. */
import {
  ProgressLocation,
  window,
  type CancellationToken,
  type LogOutputChannel,
  type Progress,
  type TextEditor,
} from 'vscode';
import { WorkDoneProgress, type LanguageClient } from 'vscode-languageclient/node';
import { EDITED_MEANWHILE, type Proposals } from './proposals';
import { writeFunctionRequest, type WrittenFunction } from './protocol';

type Reports = Progress<{ message: string }>;

const PROGRESS = {
  location: ProgressLocation.Notification,
  title: 'Inkling: writing a function',
  cancellable: true,
};

let numRequests = 0;

/** Ask for the function that is described at the cursor, and propose it. */
export async function writeFunction(
  client: LanguageClient | undefined,
  proposals: Proposals,
  log: LogOutputChannel,
): Promise<void> {
  const editor = window.activeTextEditor;
  if (!client || !editor) {
    const first = client ? 'open a file and put the cursor below a comment' : 'wait until its server runs';
    void window.showInformationMessage(`Inkling: to have a function written, ${first}.`);
    return;
  }
  const { document } = editor;
  const { version } = document;
  const written = await window.withProgress(PROGRESS, (reports, token) =>
    ask(client, editor, reports, token, log),
  );
  if (!written) {
    return;
  }
  if (!written.edit) {
    void window.showInformationMessage(`Inkling: ${written.message || 'nothing was written.'}`);
  } else if (document.isClosed || document.version !== version) {
    void window.showInformationMessage(EDITED_MEANWHILE);
  } else {
    const edit = await client.protocol2CodeConverter.asWorkspaceEdit(written.edit);
    await proposals.propose(document, edit, editor.viewColumn);
  }
}

/** The server's answer; undefined when the user cancelled. */
async function ask(
  client: LanguageClient,
  { document, selection }: TextEditor,
  reports: Reports,
  token: CancellationToken,
  log: LogOutputChannel,
): Promise<WrittenFunction | undefined> {
  const workDoneToken = `inkling-function-${++numRequests}`;
  const progress = client.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
    if (value.kind !== 'end' && value.message) {
      reports.report({ message: value.message });
    }
  });
  try {
    const place = client.code2ProtocolConverter.asTextDocumentPositionParams(document, selection.active);
    return await client.sendRequest(writeFunctionRequest, { ...place, workDoneToken }, token);
  } catch (error) {
    if (token.isCancellationRequested) {
      return undefined;
    }
    log.error('Writing a function failed.', error);
    return { edit: null, text: '', message: 'the server could not write it; "Inkling: Show Log" says why.' };
  } finally {
    progress.dispose();
  }
}

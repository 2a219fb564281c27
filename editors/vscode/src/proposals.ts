/** A written function beside the document, until it is inserted or discarded. */
import {
  commands,
  TabInputTextDiff,
  Uri,
  window,
  workspace,
  type Disposable,
  type TextDocument,
  type ViewColumn,
  type WorkspaceEdit,
} from 'vscode';
import type { Pages } from './pages';
import { applyEdits } from './text_edits';

export const EDITED_MEANWHILE =
  'Inkling: the document was edited meanwhile, so the function was not inserted; ask for it again.';

interface Proposal {
  document: TextDocument;
  version: number;
  edit: WorkspaceEdit;
  preview: Uri;
  column: ViewColumn | undefined;
}

/** Owns the one proposal that is on screen. */
export class Proposals implements Disposable {
  private current: Proposal | undefined;
  private readonly tabs = window.tabGroups.onDidChangeTabs(({ closed }) => {
    const preview = this.current?.preview.toString();
    if (closed.some(({ input }) => input instanceof TabInputTextDiff && input.modified.toString() === preview)) {
      this.current = undefined;
    }
  });

  constructor(private readonly pages: Pages) {}

  dispose(): void {
    this.tabs.dispose();
  }

  /** Show what an edit would do, and ask. */
  async propose(document: TextDocument, edit: WorkspaceEdit, column: ViewColumn | undefined): Promise<void> {
    const edits = edit.get(document.uri).map(({ range, newText }) => ({
      start: document.offsetAt(range.start),
      end: document.offsetAt(range.end),
      newText,
    }));
    const preview = this.pages.set(previewPath(document), applyEdits(document.getText(), edits));
    const proposal = { document, version: document.version, edit, preview, column };
    this.current = proposal;
    const name = document.uri.path.split('/').at(-1) ?? '';
    await commands.executeCommand('vscode.diff', document.uri, preview, `${name}: proposed function`, {
      viewColumn: column,
      preview: true,
    });
    const choice = await window.showInformationMessage('Inkling has written a function.', 'Insert', 'Discard');
    // The buttons of the editor may have been used instead, and another function proposed since.
    if (this.current === proposal && choice !== undefined) {
      await (choice === 'Insert' ? this.insert() : this.discard());
    }
  }

  /** Insert the proposed function: one edit, and so one step to undo. */
  async insert(): Promise<void> {
    const proposal = this.current;
    if (!proposal) {
      return;
    }
    const { document, version, edit, column } = proposal;
    await this.discard();
    const isUnchanged = !document.isClosed && document.version === version;
    if (!isUnchanged || !(await workspace.applyEdit(edit))) {
      void window.showInformationMessage(EDITED_MEANWHILE);
      return;
    }
    await window.showTextDocument(document, column === undefined ? {} : { viewColumn: column });
  }

  /** Close the preview and forget the function. */
  async discard(): Promise<void> {
    const preview = this.current?.preview.toString();
    this.current = undefined;
    const tabs = window.tabGroups.all.flatMap((group) => group.tabs);
    const shown = tabs.filter(
      ({ input }) => input instanceof TabInputTextDiff && input.modified.toString() === preview,
    );
    await window.tabGroups.close(shown);
  }
}

/** Ends as the document does, which gives the preview its language. */
function previewPath(document: TextDocument): string {
  return `/proposed/${document.uri.path.replace(/^\//, '')}`;
}

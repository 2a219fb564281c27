/** Read-only documents: pages that the server writes, and functions that are proposed. */
import { EventEmitter, Uri, window, workspace, type Disposable, type TextDocumentContentProvider } from 'vscode';

const SCHEME = 'inkling';

/** Owns the text of every document of the scheme `inkling`. */
export class Pages implements TextDocumentContentProvider, Disposable {
  private readonly texts = new Map<string, string>();
  private readonly emitter = new EventEmitter<Uri>();
  private readonly registration = workspace.registerTextDocumentContentProvider(SCHEME, this);

  readonly onDidChange = this.emitter.event;

  dispose(): void {
    this.registration.dispose();
    this.emitter.dispose();
  }

  provideTextDocumentContent(uri: Uri): string {
    return this.texts.get(uri.toString()) ?? '';
  }

  /** Give a page its text. Its name's ending gives it its language. */
  set(path: string, text: string): Uri {
    const uri = Uri.from({ scheme: SCHEME, path });
    this.texts.set(uri.toString(), text);
    this.emitter.fire(uri);
    return uri;
  }

  /** Show a page of Markdown. */
  async show(name: string, text: string): Promise<void> {
    const document = await workspace.openTextDocument(this.set(`/${name}.md`, text));
    await window.showTextDocument(document);
  }
}

/** The status bar item. */
import {
  MarkdownString,
  StatusBarAlignment,
  ThemeColor,
  window,
  workspace,
  type Disposable,
} from 'vscode';
import type { Server } from './client';
import { activeLanguage, isDisabled, tellLanguage } from './languages';
import type { Pause } from './pause';
import { statusView } from './status_view';

export class StatusBar implements Disposable {
  private readonly item = window.createStatusBarItem('inkling.status', StatusBarAlignment.Right, 100);
  private readonly subscriptions: Disposable[];
  private latency: number | undefined;

  constructor(
    private readonly server: Server,
    private readonly pause: Pause,
  ) {
    this.item.name = 'Inkling';
    const show = () => { this.show(); };
    this.subscriptions = [
      this.item,
      server.onDidChange(show),
      pause.onDidChange(show),
      window.onDidChangeActiveTextEditor(show),
      workspace.onDidOpenTextDocument(show), // also when a document's language has changed
      workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('inkling')) {
          show();
        }
      }),
    ];
    this.show();
    this.item.show();
  }

  dispose(): void {
    for (const subscription of this.subscriptions) {
      subscription.dispose();
    }
  }

  /** How long the newest text has taken, in ms. */
  showLatency(latency: number): void {
    this.latency = latency;
    this.show();
  }

  private show(): void {
    tellLanguage();
    const language = activeLanguage();
    const view = statusView({
      server: this.server.state,
      status: this.server.status,
      pausedUntil: this.pause.until,
      disabledLanguage: language !== undefined && isDisabled(language) ? language : undefined,
      latency: this.latency,
    });
    const tooltip = new MarkdownString();
    for (const line of view.tooltip) {
      tooltip.appendText(line).appendMarkdown('\n\n');
    }
    this.item.text = view.text;
    this.item.tooltip = tooltip;
    this.item.accessibilityInformation = { label: `Inkling. ${view.tooltip.join(' ')}` };
    this.item.backgroundColor = view.isWarning ? new ThemeColor('statusBarItem.warningBackground') : undefined;
    this.item.command = this.server.state === 'missing' ? 'inkling.setUp' : 'inkling.showMenu';
  }
}

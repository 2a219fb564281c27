/** Whether the user has paused completions in this window, and until when. */
import { commands, EventEmitter, window, type Disposable } from 'vscode';

const SNOOZE_MINUTES = [5, 15, 60];

export class Pause implements Disposable {
  /** In ms since 1970; Infinity until resumed, null while not paused. */
  until: number | null = null;
  private timer: NodeJS.Timeout | undefined;
  private readonly emitter = new EventEmitter<void>();

  readonly onDidChange = this.emitter.event;

  dispose(): void {
    clearTimeout(this.timer);
    this.emitter.dispose();
  }

  get isPaused(): boolean {
    return this.until !== null;
  }

  pause(): void {
    this.set(Infinity);
  }

  resume(): void {
    this.set(null);
  }

  /** Ask for how long, and pause for that. */
  async snooze(): Promise<void> {
    const choices = SNOOZE_MINUTES.map((minutes) => ({ label: `${minutes} minutes`, minutes }));
    const chosen = await window.showQuickPick(choices, { title: 'Inkling: snooze for' });
    if (chosen) {
      this.set(Date.now() + chosen.minutes * 60_000);
    }
  }

  private set(until: number | null): void {
    clearTimeout(this.timer);
    this.until = until;
    if (until !== null && until !== Infinity) {
      this.timer = setTimeout(() => { this.resume(); }, until - Date.now());
    }
    void commands.executeCommand('setContext', 'inkling.paused', this.isPaused);
    this.emitter.fire();
  }
}

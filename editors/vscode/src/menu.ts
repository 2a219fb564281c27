/** The menu behind the status bar item. */
import { commands, QuickPickItemKind, window, type QuickPickItem } from 'vscode';
import type { Server } from './client';
import { activeLanguage, isDisabled } from './languages';
import type { Pause } from './pause';

interface Entry extends QuickPickItem {
  command?: string;
  argument?: unknown;
}

export async function showMenu(server: Server, pause: Pause): Promise<void> {
  const chosen = await window.showQuickPick(entries(server, pause), { title: 'Inkling' });
  if (chosen?.command) {
    await commands.executeCommand(chosen.command, ...(chosen.argument === undefined ? [] : [chosen.argument]));
  }
}

function entries(server: Server, pause: Pause): Entry[] {
  const language = activeLanguage();
  return [
    pause.isPaused
      ? { label: '$(debug-start) Resume', command: 'inkling.resume' }
      : { label: '$(debug-pause) Pause', command: 'inkling.pause' },
    { label: '$(clock) Snooze…', command: 'inkling.snooze' },
    ...(language === undefined ? [] : [languageEntry(language)]),
    { label: '$(edit) Write Function From Comment', command: 'inkling.writeFunctionFromComment' },
    { label: '', kind: QuickPickItemKind.Separator },
    { label: '$(output) Show Log', command: 'inkling.showLog' },
    { label: '$(list-tree) Open Trace', description: 'the last prompts as sent', command: 'inkling.openTrace' },
    { label: '$(graph) Show Statistics', command: 'inkling.showStatistics' },
    { label: '', kind: QuickPickItemKind.Separator },
    { label: '$(server-process) Choose Model', description: server.status?.model ?? '', command: 'inkling.chooseModel' },
    {
      label: '$(settings-gear) Settings',
      command: 'workbench.action.openSettings',
      argument: '@ext:inkling.inkling',
    },
    { label: '$(debug-restart) Restart Server', command: 'inkling.restartServer' },
    { label: '$(tools) Set Up', command: 'inkling.setUp' },
  ];
}

function languageEntry(language: string): Entry {
  return isDisabled(language)
    ? { label: `$(check) Enable for ${language}`, command: 'inkling.enableLanguage' }
    : { label: `$(circle-slash) Disable for ${language}`, command: 'inkling.disableLanguage' };
}

/** Completions on or off for a language: the setting `inkling.disabledLanguages`. */
import { commands, ConfigurationTarget, window, workspace } from 'vscode';

/** The language of the active editor. */
export function activeLanguage(): string | undefined {
  return window.activeTextEditor?.document.languageId;
}

export function isDisabled(language: string): boolean {
  return disabledLanguages().includes(language);
}

/** Turn completions off for the active editor's language, or on again. */
export async function setActiveLanguage(isOn: boolean): Promise<void> {
  const language = activeLanguage();
  if (language === undefined) {
    void window.showInformationMessage('Inkling: open a file of the language first.');
    return;
  }
  const others = disabledLanguages().filter((each) => each !== language);
  const disabled = isOn ? others : [...others, language];
  const configuration = workspace.getConfiguration('inkling');
  const isOfWorkspace = configuration.inspect('disabledLanguages')?.workspaceValue !== undefined;
  const target = isOfWorkspace ? ConfigurationTarget.Workspace : ConfigurationTarget.Global;
  await configuration.update('disabledLanguages', disabled, target);
}

/** Let the command palette offer what there is to do. */
export function tellLanguage(): void {
  const language = activeLanguage();
  const isOff = language !== undefined && isDisabled(language);
  void commands.executeCommand('setContext', 'inkling.languageDisabled', isOff);
}

function disabledLanguages(): string[] {
  return workspace.getConfiguration('inkling').get<string[]>('disabledLanguages', []);
}

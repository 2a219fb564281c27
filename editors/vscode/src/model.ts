/** `Inkling: Choose Model`: what `inkling model list` has, for `inkling model use`. */
import { window, workspace, type LogOutputChannel } from 'vscode';
import { parseModels } from './cli_output';
import type { Server } from './client';
import { run } from './processes';
import type { ServerCommand } from './server';

const HOW_TO_GET_MORE = 'For gpt-oss-20b run "inkling model pull openai/gpt-oss-20b" in a terminal: see the README';

export async function chooseModel(
  { command, args }: ServerCommand,
  server: Server,
  log: LogOutputChannel,
): Promise<void> {
  const listed = await run([command, ...args, 'model', 'list'], log);
  const models = parseModels(listed.output);
  if (models.length === 0) {
    void window.showErrorMessage('Inkling: the models could not be listed; "Inkling: Show Log" says why.');
    return;
  }
  const entries = models.map(({ name, size, words, isChosen }) => ({
    label: `${isChosen ? '$(check) ' : ''}${name}`,
    description: size,
    detail: words,
    name,
  }));
  const chosen = await window.showQuickPick(entries, { title: 'Inkling: model', placeHolder: HOW_TO_GET_MORE });
  if (!chosen) {
    return;
  }
  const used = await run([command, ...args, 'model', 'use', chosen.name], log);
  if (used.code !== 0) {
    void window.showErrorMessage(`Inkling: ${used.output.trim().split('\n').at(-1) ?? 'the model was not chosen.'}`);
    return;
  }
  await server.restart();
  const setting = workspace.getConfiguration('inkling').inspect<string>('engine.model')?.globalValue;
  const outweighed = setting ? ' The setting inkling.engine.model outweighs it: clear it.' : '';
  void window.showInformationMessage(
    `Inkling: ${chosen.name} is chosen. An engine that runs already keeps its model until it ends.${outweighed}`,
  );
}

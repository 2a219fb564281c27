/** What the extension consists of, and which command does what. */
import { commands, window, type ExtensionContext, type LogOutputChannel } from 'vscode';
import type { RequestType } from 'vscode-languageclient/node';
import { Server } from './client';
import { Completions } from './completions';
import { setActiveLanguage } from './languages';
import { showMenu } from './menu';
import { chooseModel } from './model';
import { Pages } from './pages';
import { Pause } from './pause';
import { Proposals } from './proposals';
import { statisticsRequest, statusRequest, traceRequest } from './protocol';
import { findServer } from './server';
import { setUp } from './setup';
import { StatusBar } from './status';
import { writeFunction } from './write_function';

const TOLD_OF_SET_UP = 'toldOfSetUp';

let server: Server | undefined;

export function activate(context: ExtensionContext): void {
  const log = window.createOutputChannel('Inkling', { log: true });
  const pause = new Pause();
  const pages = new Pages();
  const proposals = new Proposals(pages);
  const completions: Completions = new Completions(() => started.running, log);
  const middleware = {
    provideInlineCompletionItems: completions.provide.bind(completions),
    didChange: completions.didChange.bind(completions),
  };
  const started: Server = (server = new Server(() => findServer(context), pause, middleware, log));
  const statusBar = new StatusBar(started, pause);
  completions.onLatency((latency) => { statusBar.showLatency(latency); });
  context.subscriptions.push(log, pause, pages, proposals, completions, started, statusBar);

  const actions: Record<string, () => unknown> = {
    writeFunctionFromComment: () => writeFunction(started.running, proposals, log),
    insertFunction: () => proposals.insert(),
    discardFunction: () => proposals.discard(),
    pause: () => { pause.pause(); },
    resume: () => { pause.resume(); },
    snooze: () => pause.snooze(),
    enableLanguage: () => setActiveLanguage(true),
    disableLanguage: () => setActiveLanguage(false),
    restartServer: () => started.restart(),
    showLog: () => showLog(started, log),
    openTrace: () => showPage(started, pages, 'Inkling Trace', traceRequest, log),
    showStatistics: () => showPage(started, pages, 'Inkling Statistics', statisticsRequest, log),
    showMenu: () => showMenu(started, pause),
    setUp: () => setUp(context, started, log),
    chooseModel: () => chooseModelOf(context, started, log),
  };
  for (const [name, action] of Object.entries(actions)) {
    context.subscriptions.push(commands.registerCommand(`inkling.${name}`, action));
  }

  // Not awaited: commands work before the server does.
  void started.start().then(() => (started.state === 'missing' ? offerSetUp(context) : undefined));
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

/** Once, ever: the status bar goes on saying it. */
async function offerSetUp(context: ExtensionContext): Promise<void> {
  if (context.globalState.get(TOLD_OF_SET_UP)) {
    return;
  }
  await context.globalState.update(TOLD_OF_SET_UP, true);
  const offer = 'Inkling completes code on your own machine. It needs its server, which is not installed yet.';
  void window.showInformationMessage(offer, 'Set Up').then((choice) => {
    if (choice !== undefined) {
      void commands.executeCommand('inkling.setUp');
    }
  });
}

async function showLog(server: Server, log: LogOutputChannel): Promise<void> {
  log.show();
  try {
    const status = await server.running?.sendRequest(statusRequest, {});
    if (status?.log) {
      log.info(`The engine's log: ${status.log}`);
    }
  } catch (error) {
    log.error('The server did not say where the log of the engine is.', error);
  }
}

async function showPage(
  server: Server,
  pages: Pages,
  name: string,
  request: RequestType<object, { text: string }, void>,
  log: LogOutputChannel,
): Promise<void> {
  const client = server.running;
  if (!client) {
    void window.showInformationMessage('Inkling: its server does not run; click Inkling in the status bar.');
    return;
  }
  try {
    const { text } = await client.sendRequest(request, {});
    await pages.show(name, text);
  } catch (error) {
    log.error(`${name} could not be shown.`, error);
    void window.showInformationMessage(`${name}: the server has no such page; update the server.`);
  }
}

async function chooseModelOf(context: ExtensionContext, server: Server, log: LogOutputChannel): Promise<void> {
  const found = findServer(context);
  if (found) {
    await chooseModel(found, server, log);
  } else {
    await setUp(context, server, log);
  }
}

/** `Inkling: Set Up`: from nothing to a server that runs. */
import {
  ProgressLocation,
  window,
  workspace,
  type CancellationToken,
  type ExtensionContext,
  type LogOutputChannel,
  type Progress,
} from 'vscode';
import { isFatal, parseFindings, summary } from './cli_output';
import type { Server } from './client';
import { chooseModel } from './model';
import { run } from './processes';
import { configuredPython, findPython } from './python';
import { configuredCommand, environmentFolder, findServer, inEnvironment, type ServerCommand } from './server';

type Reports = Progress<{ message: string }>;

/** Find or install the server, start it, and say what it found on this machine. */
export async function setUp(context: ExtensionContext, server: Server, log: LogOutputChannel): Promise<void> {
  let found = findServer(context);
  if (!found) {
    const [configured] = configuredCommand();
    if (configured !== undefined) {
      tell(`inkling.server.command names ${configured}, which cannot be run: correct or clear the setting.`, log);
      return;
    }
    if (!(await agrees())) {
      return;
    }
    const problem = await withProgress('Inkling: setting up', (reports, token) => install(context, log, reports, token));
    if (problem !== '') {
      tell(problem, log);
    }
    found = findServer(context);
    if (!found) {
      return;
    }
  }
  if (server.state !== 'running') {
    await server.restart();
  }
  await examine(found, server, log);
}

async function agrees(): Promise<boolean> {
  const choice = await window.showInformationMessage(
    'Install the Inkling server?',
    {
      modal: true,
      detail:
        `"${packageName()}" goes into a Python environment of its own, in this extension's folder. ` +
        'With the engine that downloads PyTorch: up to 3 GB on Linux, less elsewhere.',
    },
    'Install',
  );
  return choice === 'Install';
}

/** Make the environment. Returns one sentence on what is wrong; "" if nothing is, or if cancelled. */
async function install(
  context: ExtensionContext,
  log: LogOutputChannel,
  reports: Reports,
  token: CancellationToken,
): Promise<string> {
  reports.report({ message: 'looking for Python' });
  const python = await findPython(log, token);
  if (token.isCancellationRequested) {
    return '';
  }
  if (!python) {
    const where = configuredPython() === '' ? 'PATH has none' : 'inkling.python is none';
    return `Inkling needs Python 3.11 or newer, and ${where}: install it, or set inkling.python to its path.`;
  }
  const folder = environmentFolder(context);
  reports.report({ message: 'making a Python environment' });
  const made = await run([...python, '-m', 'venv', '--clear', folder], log, token);
  if (made.code !== 0) {
    const cure = 'on Debian and Ubuntu install python3-venv, else see the log';
    return made.isCancelled ? '' : `Python could not make an environment in ${folder}: ${cure}.`;
  }
  const pip = [inEnvironment(folder, 'python'), '-m', 'pip', '--disable-pip-version-check', 'install', '--progress-bar', 'off'];
  const installed = await run([...pip, packageName()], log, token, (line) => {
    reports.report({ message: line.trim().slice(0, 100) });
  });
  if (installed.code !== 0) {
    const cure = 'check the network and inkling.server.package, then set up again';
    return installed.isCancelled ? '' : `pip could not install "${packageName()}": ${cure}.`;
  }
  return '';
}

/** Let `inkling doctor` look at the machine, and offer what comes next. */
async function examine({ command, args }: ServerCommand, server: Server, log: LogOutputChannel): Promise<void> {
  const outcome = await withProgress('Inkling: looking at this machine', (_, token) =>
    run([command, ...args, 'doctor'], log, token),
  );
  const findings = parseFindings(outcome.output);
  if (findings.length === 0) {
    tell(`${command} could not be run: "Inkling: Show Log" says why.`, log);
    return;
  }
  if (findings.some(isFatal)) {
    tell(`Inkling does not work yet. ${summary(findings)}.`, log);
    return;
  }
  const model = 'Choose Model';
  const choice = await window.showInformationMessage(`Inkling: ${summary(findings)}.`, model, 'Show Log');
  if (choice === model) {
    await chooseModel({ command, args }, server, log);
  } else if (choice !== undefined) {
    log.show();
  }
}

function withProgress<T>(
  title: string,
  work: (reports: Reports, token: CancellationToken) => Promise<T>,
): Thenable<T> {
  return window.withProgress({ location: ProgressLocation.Notification, title, cancellable: true }, work);
}

function packageName(): string {
  return workspace.getConfiguration('inkling').get<string>('server.package', 'inkling-lsp[engine]');
}

function tell(problem: string, log: LogOutputChannel): void {
  void window.showErrorMessage(problem, 'Show Log').then((choice) => {
    if (choice !== undefined) {
      log.show();
    }
  });
}

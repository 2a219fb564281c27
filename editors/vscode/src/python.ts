/** Finds a Python that Inkling runs on. */
import { workspace, type CancellationToken, type LogOutputChannel } from 'vscode';
import { isRecentPython } from './cli_output';
import { run } from './processes';
import { onPath } from './server';

const NAMES = ['python3.13', 'python3.12', 'python3.11', 'python3', 'python'];

/** The command of the first Python of 3.11 or newer: the setting's, or of those on PATH. */
export async function findPython(log: LogOutputChannel, token: CancellationToken): Promise<string[] | undefined> {
  for (const python of candidates()) {
    const { code, output } = await run([...python, '--version'], log, token);
    if (token.isCancellationRequested) {
      return undefined;
    }
    if (code === 0 && isRecentPython(output)) {
      return python;
    }
  }
  return undefined;
}

export function configuredPython(): string {
  return workspace.getConfiguration('inkling').get<string>('python', '').trim();
}

function candidates(): string[][] {
  const configured = configuredPython();
  if (configured !== '') {
    return [[configured]];
  }
  const launcher = onPath('py');
  const pythons = NAMES.flatMap((name) => onPath(name) ?? []).map((python) => [python]);
  return launcher === undefined ? pythons : [[launcher, '-3'], ...pythons];
}

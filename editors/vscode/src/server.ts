/** Where the `inkling` executable is. */
import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { workspace, type ExtensionContext } from 'vscode';

export interface ServerCommand {
  /** The executable's full path, and what comes before a subcommand such as `lsp`. */
  command: string;
  args: string[];
}

const IS_WINDOWS = process.platform === 'win32';
const BIN = IS_WINDOWS ? 'Scripts' : 'bin';

/** The folder of the Python environment that `Inkling: Set Up` makes. */
export function environmentFolder(context: ExtensionContext): string {
  return join(context.globalStorageUri.fsPath, 'environment');
}

/** An executable in a Python environment, whether it is there or not. */
export function inEnvironment(folder: string, name: string): string {
  return join(folder, BIN, IS_WINDOWS ? `${name}.exe` : name);
}

/** What the setting says; else the first of PATH, our own environment and the workspace's. */
export function findServer(context: ExtensionContext): ServerCommand | undefined {
  const [configured, ...args] = configuredCommand();
  if (configured) {
    const command = /[\\/]/.test(configured) ? configured : onPath(configured);
    return command && isExecutable(command) ? { command, args } : undefined;
  }
  const places = [onPath('inkling'), inEnvironment(environmentFolder(context), 'inkling')];
  // A folder that is not trusted does not choose what runs.
  if (workspace.isTrusted) {
    const folders = workspace.workspaceFolders ?? [];
    places.push(...folders.map((folder) => inEnvironment(join(folder.uri.fsPath, '.venv'), 'inkling')));
  }
  const command = places.find((place) => place !== undefined && isExecutable(place));
  return command === undefined ? undefined : { command, args: [] };
}

/** The setting `inkling.server.command`, as a list; empty when it is not set. */
export function configuredCommand(): string[] {
  const setting = workspace.getConfiguration('inkling').get<string | string[]>('server.command', '');
  const [command = '', ...args] = typeof setting === 'string' ? [setting.trim()] : setting;
  return command === '' ? [] : [command.replace(/^~(?=[\\/])/, homedir()), ...args];
}

/** The full path of an executable on PATH. */
export function onPath(name: string): string | undefined {
  const file = IS_WINDOWS && !name.endsWith('.exe') ? `${name}.exe` : name;
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, file)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Runs a command to its end, with its output in the log. */
import { spawn } from 'node:child_process';
import type { CancellationToken, LogOutputChannel } from 'vscode';

export interface Outcome {
  /** Null when it could not be started, or was cancelled. */
  code: number | null;
  output: string;
  isCancelled: boolean;
}

export async function run(
  [command = '', ...args]: readonly string[],
  log: LogOutputChannel,
  token?: CancellationToken,
  onLine?: (line: string) => void,
): Promise<Outcome> {
  log.info(`$ ${[command, ...args].join(' ')}`);
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PYTHONIOENCODING: 'utf-8', PYTHONUNBUFFERED: '1' },
    });
    const cancelling = token?.onCancellationRequested(() => child.kill());
    let output = '';
    const take = (chunk: string) => {
      output += chunk;
      for (const line of chunk.split(/\r?\n/).filter((each) => each.trim() !== '')) {
        log.info(line);
        onLine?.(line);
      }
    };
    child.stdout.setEncoding('utf-8').on('data', take);
    child.stderr.setEncoding('utf-8').on('data', take);
    const end = (code: number | null) => {
      cancelling?.dispose();
      resolve({ code, output, isCancelled: token?.isCancellationRequested ?? false });
    };
    child.on('error', (error) => {
      log.error(error);
      end(null);
    });
    child.on('close', end);
  });
}

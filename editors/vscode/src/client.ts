/** The language client: starts, restarts and configures the server. */
import { commands, EventEmitter, workspace, type Disposable, type LogOutputChannel } from 'vscode';
import {
  CloseAction,
  DidChangeConfigurationNotification,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  type ErrorHandler,
  type Middleware,
} from 'vscode-languageclient/node';
import type { Pause } from './pause';
import { didChangeStatus, statusRequest, type ServerStatus } from './protocol';
import type { ServerCommand } from './server';
import { serverSettings } from './settings';

const MAX_RESTARTS = 4;
const RESTART_WINDOW_MS = 3 * 60_000;

export type ServerState = 'missing' | 'starting' | 'running' | 'stopped';

/** Owns the running client. There is one server for all folders of a window. */
export class Server implements Disposable {
  state: ServerState = 'starting';
  /** The newest that the server said of itself. */
  status: ServerStatus | undefined;

  private client: QuietClient | undefined;
  private readonly emitter = new EventEmitter<void>();
  private readonly subscriptions: Disposable[];

  /** Fires when `state` or `status` have changed. */
  readonly onDidChange = this.emitter.event;

  constructor(
    private readonly find: () => ServerCommand | undefined,
    private readonly pause: Pause,
    private readonly middleware: Middleware,
    private readonly log: LogOutputChannel,
  ) {
    this.subscriptions = [
      this.emitter,
      pause.onDidChange(() => { this.configure(); }),
      workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('inkling.server.command')) {
          void this.restart();
        } else if (event.affectsConfiguration('inkling')) {
          this.configure();
        }
      }),
    ];
  }

  dispose(): void {
    for (const subscription of this.subscriptions) {
      subscription.dispose();
    }
  }

  /** The client, while there is a server to answer. */
  get running(): LanguageClient | undefined {
    return this.client?.isRunning() ? this.client : undefined;
  }

  /** Start the server there is; without one, `state` says so. */
  async start(): Promise<void> {
    const server = this.find();
    this.status = undefined;
    if (!server) {
      this.set('missing');
      return;
    }
    this.set('starting');
    this.log.info(`Starting ${[server.command, ...server.args, 'lsp'].join(' ')}`);
    const client = new QuietClient(
      'inkling',
      'Inkling',
      { command: server.command, args: [...server.args, 'lsp'] },
      {
        documentSelector: [{ scheme: 'file' }, { scheme: 'untitled' }],
        initializationOptions: () => this.settings(),
        middleware: this.middleware,
        outputChannel: this.log,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        errorHandler: new RestartSeldom(),
        initializationFailedHandler: () => false,
      },
    );
    this.client = client;
    client.onDidChangeState(({ newState }) => {
      if (this.client === client) {
        this.set(newState === State.Running ? 'running' : newState === State.Starting ? 'starting' : 'stopped');
        if (newState === State.Running) {
          void this.askStatus(client); // also after a restart by itself: what is known is the old server's
        }
      }
    });
    client.onNotification(didChangeStatus, (status) => {
      this.status = status;
      this.emitter.fire();
    });
    try {
      await client.start();
    } catch (error) {
      this.log.error('The server did not start.', error);
      if (this.client === client) {
        this.set('stopped');
      }
    }
  }

  private async askStatus(client: LanguageClient): Promise<void> {
    this.status = undefined;
    try {
      this.status = await client.sendRequest(statusRequest, {});
      this.emitter.fire();
    } catch (error) {
      this.log.error('The server did not tell its status.', error);
    }
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    try {
      await client?.dispose();
    } catch (error) {
      this.log.warn('The server did not end by itself.', error);
    }
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  private settings(): Record<string, unknown> {
    const configuration = workspace.getConfiguration('inkling');
    const settings = serverSettings((name) => configuration.inspect(name));
    return this.pause.isPaused ? { ...settings, enabled: false } : settings;
  }

  private configure(): void {
    const sent = this.running?.sendNotification(DidChangeConfigurationNotification.type, {
      settings: this.settings(),
    });
    sent?.catch((error: unknown) => { this.log.error('The settings did not reach the server.', error); });
  }

  private set(state: ServerState): void {
    this.state = state;
    void commands.executeCommand('setContext', 'inkling.running', state === 'running');
    this.emitter.fire();
  }
}

/** The status bar says what is wrong, and the log why: no pop-ups while the user types. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

/** Restarts a server that ended, but not one that ends again and again. */
class RestartSeldom implements ErrorHandler {
  private ends: number[] = [];

  error(_error: Error, _message: unknown, count: number | undefined): { action: ErrorAction } {
    return { action: (count ?? 0) <= 3 ? ErrorAction.Continue : ErrorAction.Shutdown };
  }

  closed(): { action: CloseAction; handled: boolean } {
    const now = Date.now();
    this.ends = [...this.ends.filter((end) => now - end < RESTART_WINDOW_MS), now];
    const action = this.ends.length <= MAX_RESTARTS ? CloseAction.Restart : CloseAction.DoNotRestart;
    return { action, handled: true };
  }
}

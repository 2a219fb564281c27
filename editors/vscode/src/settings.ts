/** Names and values of the server's settings. Knows nothing of VS Code. */

/** Each is `inkling.NAME` in VS Code; docs/settings.md has them in snake case. */
export const SERVER_SETTINGS = [
  'enabled',
  'disabledLanguages',
  'maxFileKb',
  'debounceMs',
  'promptTokens',
  'relatedCode',
  'lineTokens',
  'blockTokens',
  'functionTokens',
  'reasoningTokens',
  'minConfidence',
  'prefetch',
  'engine.model',
  'engine.device',
  'engine.backend',
  'engine.transport',
  'engine.port',
  'engine.idleMinutes',
  'engine.contextLen',
  'engine.kvTokens',
  'engine.kvBits',
] as const;

/** Where a setting may have been set, as `WorkspaceConfiguration.inspect` tells. */
export interface Sources {
  globalValue?: unknown;
  workspaceValue?: unknown;
  workspaceFolderValue?: unknown;
}

/** The settings that the user made in VS Code, as the server reads them. Others stay out, so that
 * `config.toml` keeps its say. */
export function serverSettings(inspect: (name: string) => Sources | undefined): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const name of SERVER_SETTINGS) {
    const sources = inspect(name);
    const value = sources?.workspaceFolderValue ?? sources?.workspaceValue ?? sources?.globalValue;
    if (value !== undefined && value !== null && value !== '') {
      put(settings, serverName(name).split('.'), value);
    }
  }
  return settings;
}

export function serverName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function put(settings: Record<string, unknown>, [head, ...tail]: string[], value: unknown): void {
  if (head === undefined) {
    return;
  }
  if (tail.length === 0) {
    settings[head] = value;
    return;
  }
  const section = (settings[head] ?? {}) as Record<string, unknown>;
  settings[head] = section;
  put(section, tail, value);
}

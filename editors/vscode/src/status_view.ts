/** What the status bar says. Knows nothing of VS Code. */
import type { ServerStatus } from './protocol';

export interface Situation {
  server: 'missing' | 'starting' | 'running' | 'stopped';
  status: ServerStatus | undefined;
  /** In ms since 1970; Infinity: until resumed; null: not paused. */
  pausedUntil: number | null;
  /** The language of the active editor where completions are off for it. */
  disabledLanguage: string | undefined;
  latency: number | undefined;
}

export interface StatusView {
  text: string;
  /** Lines of plain text. */
  tooltip: string[];
  isWarning: boolean;
}

/** The most urgent fact is the icon; the tooltip has all of them. */
export function statusView(situation: Situation): StatusView {
  const { server, status, pausedUntil, disabledLanguage } = situation;
  if (server === 'missing') {
    const tooltip = ['Inkling has not found its server.', 'Click to set it up.'];
    return { text: '$(warning) Inkling: set up', tooltip, isWarning: true };
  }
  if (server === 'stopped') {
    const tooltip = ["Inkling's server has stopped.", 'Click to restart it or to read its log.'];
    return { text: '$(error) Inkling', tooltip, isWarning: true };
  }
  if (server === 'starting' || !status) {
    return { text: '$(loading~spin) Inkling', tooltip: ['Inkling is starting.'], isWarning: false };
  }
  const name = status.kind === 'demo' ? 'Inkling (demo)' : 'Inkling';
  const tooltip = [...modelLines(status), ...lastAnswerLines(situation)];
  if (pausedUntil !== null) {
    const until = pausedUntil === Infinity ? 'until you resume' : `until ${clock(pausedUntil)}`;
    return { text: `$(debug-pause) ${name}`, tooltip: [`Paused ${until}.`, ...tooltip], isWarning: false };
  }
  if (status.state === 'error') {
    return { text: `$(error) ${name}`, tooltip, isWarning: true };
  }
  if (status.state === 'off') {
    return { text: `$(circle-slash) ${name}`, tooltip: ['Off by the settings.', ...tooltip], isWarning: false };
  }
  if (disabledLanguage !== undefined) {
    const off = `Off for ${disabledLanguage}.`;
    return { text: `$(circle-slash) ${name}`, tooltip: [off, ...tooltip], isWarning: false };
  }
  const icon = status.state === 'starting' ? '$(loading~spin)' : '$(edit)';
  return { text: `${icon} ${name}`, tooltip, isWarning: false };
}

function modelLines(status: ServerStatus): string[] {
  if (status.model === '') {
    return [status.state === 'starting' ? 'The model is loading.' : 'No model is loaded.'];
  }
  return [`Model: ${status.model}`, `Runs on ${status.where ?? 'this machine'}.`];
}

function lastAnswerLines({ status, latency }: Situation): string[] {
  const lines = [];
  if (latency !== undefined) {
    lines.push(`Last text after ${Math.round(latency)} ms.`);
  }
  if (status?.reason) {
    lines.push(`Last request without a text: ${status.reason}`);
  }
  return lines;
}

function clock(time: number): string {
  return new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

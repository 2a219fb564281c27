import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerStatus } from '../src/protocol';
import { statusView, type Situation } from '../src/status_view';

const READY: ServerStatus = {
  state: 'ready',
  model: 'demo model on cpu',
  kind: 'demo',
  where: 'this machine',
  reason: '',
};

function view(changes: Partial<Situation>) {
  const usual: Situation = {
    server: 'running',
    status: READY,
    pausedUntil: null,
    disabledLanguage: undefined,
    latency: undefined,
  };
  return statusView({ ...usual, ...changes });
}

test('a ready server tells its model, where it runs and how quick it was', () => {
  const { text, tooltip, isWarning } = view({ latency: 243.6 });
  assert.equal(text, '$(edit) Inkling (demo)');
  assert.deepEqual(tooltip, ['Model: demo model on cpu', 'Runs on this machine.', 'Last text after 244 ms.']);
  assert.equal(isWarning, false);
});

test('a missing server leads to its set-up', () => {
  const { text, isWarning } = view({ server: 'missing', status: undefined });
  assert.equal(text, '$(warning) Inkling: set up');
  assert.ok(isWarning);
});

test('another host is named', () => {
  assert.ok(view({ status: { ...READY, where: 'gpu.example' } }).tooltip.includes('Runs on gpu.example.'));
});

test('the reason for silence is told', () => {
  const { tooltip } = view({ status: { ...READY, reason: 'secret' } });
  assert.ok(tooltip.includes('Last request without a text: secret'));
});

test('what the user did outweighs what the server says', () => {
  const off: ServerStatus = { ...READY, state: 'off' };
  assert.equal(view({ status: off, pausedUntil: Infinity }).tooltip[0], 'Paused until you resume.');
  assert.match(view({ status: off, pausedUntil: Date.now() + 60_000 }).tooltip[0] ?? '', /^Paused until \d/);
  assert.equal(view({ status: off }).tooltip[0], 'Off by the settings.');
  assert.equal(view({ disabledLanguage: 'markdown' }).tooltip[0], 'Off for markdown.');
});

test('an error is a warning; starting is none', () => {
  assert.ok(view({ status: { ...READY, state: 'error', reason: 'no GPU' } }).isWarning);
  assert.ok(view({ server: 'stopped' }).isWarning);
  assert.equal(view({ server: 'starting', status: undefined }).isWarning, false);
});

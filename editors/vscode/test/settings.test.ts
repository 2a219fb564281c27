import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SERVER_SETTINGS, serverName, serverSettings, type Sources } from '../src/settings';

interface Package {
  contributes: { configuration: { properties: Record<string, unknown> }[] };
}

const DOCUMENTED = '../../docs/settings.md';

function serverSettingsOf(sources: Record<string, Sources>): Record<string, unknown> {
  return serverSettings((name) => sources[name]);
}

test('only what the user set is sent, so that config.toml keeps its say', () => {
  assert.deepEqual(serverSettingsOf({ enabled: {}, maxFileKb: { globalValue: 512 } }), { max_file_kb: 512 });
});

test('engine settings are a section of their own', () => {
  const sources = { 'engine.idleMinutes': { globalValue: 5 }, 'engine.model': { globalValue: 'stub' } };
  assert.deepEqual(serverSettingsOf(sources), { engine: { idle_minutes: 5, model: 'stub' } });
});

test('the workspace outweighs the user', () => {
  const sources = { enabled: { globalValue: true, workspaceValue: false } };
  assert.deepEqual(serverSettingsOf(sources), { enabled: false });
});

test('an empty value is none', () => {
  assert.deepEqual(serverSettingsOf({ 'engine.contextLen': { globalValue: null } }), {});
  assert.deepEqual(serverSettingsOf({ 'engine.model': { globalValue: '' } }), {});
});

test("package.json has the server's settings and three of the extension", () => {
  const { contributes } = JSON.parse(readFileSync('package.json', 'utf-8')) as Package;
  const own = ['python', 'server.command', 'server.package'];
  const properties = contributes.configuration.flatMap((group) => Object.keys(group.properties));
  const names = [...SERVER_SETTINGS, ...own].map((name) => `inkling.${name}`);
  assert.deepEqual(properties.toSorted(), names.toSorted());
});

test('every documented setting is there', { skip: !existsSync(DOCUMENTED) }, () => {
  const rows = readFileSync(DOCUMENTED, 'utf-8').matchAll(/^\| `([\w.]+)` \|/gm);
  const documented = Array.from(rows, ([, name]) => name ?? '');
  assert.deepEqual(SERVER_SETTINGS.map(serverName).toSorted(), documented.toSorted());
});

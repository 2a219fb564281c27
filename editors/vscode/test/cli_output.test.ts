import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRecentPython, parseFindings, parseModels, summary } from '../src/cli_output';

const DOCTOR = `✓ inkling   0.1.0 in /home/me/environment
✓ Python    3.11.7
– GPU       none
            → none needed for the demo model; gpt-oss-20b needs 16 GB of VRAM
✓ model     demo model (a demonstration, not gpt-oss-20b)
✓ engine    not running (the first completion starts it)
`;

test('Python 3.11 and newer are recent', () => {
  for (const version of ['Python 3.11.7\n', 'Python 3.14.0rc1', 'Python 4.0.1']) {
    assert.ok(isRecentPython(version), version);
  }
  for (const version of ['Python 3.10.9', 'Python 2.7.18', 'zsh: command not found', '']) {
    assert.ok(!isRecentPython(version), version);
  }
});

test('a finding has a mark, a name, a fact and perhaps a cure', () => {
  const gpu = parseFindings(DOCTOR)[2];
  const cure = 'none needed for the demo model; gpt-oss-20b needs 16 GB of VRAM';
  assert.deepEqual(gpu, { mark: '–', name: 'GPU', fact: 'none', cure });
});

test('names may have a space', () => {
  const findings = parseFindings('– VS Code   not found\r\n✗ Python    3.9.2\r\n');
  assert.deepEqual(findings.map(({ name, fact }) => [name, fact]), [
    ['VS Code', 'not found'],
    ['Python', '3.9.2'],
  ]);
});

test('the summary names model and GPU', () => {
  assert.equal(
    summary(parseFindings(DOCTOR)),
    'model: demo model (a demonstration, not gpt-oss-20b); GPU: none',
  );
});

test('the summary is what keeps Inkling from working, and the cure', () => {
  const fatal = '✗ torch     not installed\n            → pip install "inkling-lsp[engine]"\n';
  assert.equal(
    summary(parseFindings(DOCTOR + fatal)),
    'torch: not installed → pip install "inkling-lsp[engine]"',
  );
});

test('models have a name, a size and a mark on the chosen one', () => {
  const listed = `  demo                16.6 MB  the demo model, comes with Inkling
* gpt-oss-20b-exl2     11 GB  EXL2, 4.0 bits

* chosen by the settings; pulled models are in /home/me/models
`;
  assert.deepEqual(parseModels(listed), [
    { name: 'demo', size: '16.6 MB', words: 'the demo model, comes with Inkling', isChosen: false },
    { name: 'gpt-oss-20b-exl2', size: '11 GB', words: 'EXL2, 4.0 bits', isChosen: true },
  ]);
});

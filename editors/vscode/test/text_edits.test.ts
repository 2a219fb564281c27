import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyEdits } from '../src/text_edits';

test('edits count in the text before any of them', () => {
  const edits = [
    { start: 7, end: 10, newText: 'return a' },
    { start: 0, end: 0, newText: 'import os\n' },
  ];
  assert.equal(applyEdits('def f:\n...\n', edits), 'import os\ndef f:\nreturn a\n');
});

test("new lines end as the text's do", () => {
  assert.equal(applyEdits('a\r\nb', [{ start: 4, end: 4, newText: '\nc\r\nd' }]), 'a\r\nb\r\nc\r\nd');
});

test('no edit, no change', () => {
  assert.equal(applyEdits('a\n', []), 'a\n');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cursorAfterKey, isAcceptedPart, numCodePoints, restAfter, typedAfter } from '../src/growth';

const insertion = (rangeOffset: number, text: string) => ({ rangeOffset, rangeLength: 0, text });

test('a key at the cursor is typed along', () => {
  assert.equal(typedAfter(10, 'ab', insertion(12, 'c')), 'abc');
});

test('what is taken back at the cursor was typed less', () => {
  assert.equal(typedAfter(10, 'abc', { rangeOffset: 12, rangeLength: 1, text: '' }), 'ab');
});

test('what replaces the typed part, as some ways of accepting do, is typed instead of it', () => {
  assert.equal(typedAfter(10, 'ab', { rangeOffset: 10, rangeLength: 2, text: 'abcdef' }), 'abcdef');
});

test('an edit elsewhere, or past where the text began, is not typed along', () => {
  assert.equal(typedAfter(10, 'ab', insertion(11, 'x')), null);
  assert.equal(typedAfter(10, 'ab', insertion(0, 'x')), null);
  assert.equal(typedAfter(10, '', { rangeOffset: 9, rangeLength: 1, text: '' }), null);
});

test('the rest is what was not typed yet', () => {
  assert.equal(restAfter('return x', 'ret'), 'urn x');
  assert.equal(restAfter('return x', 'return x'), '');
  assert.equal(restAfter('return x', 'raise'), null);
});

test("a document's CRLF is the text's line end", () => {
  assert.equal(restAfter('a\n    b', 'a\r\n  '), '  b');
});

test('an accepted word or line is no key', () => {
  for (const part of ['name', ' = name', 'é🎉', '\n    self.a = a']) {
    assert.ok(isAcceptedPart(part), part);
  }
  for (const key of ['n', '🎉', '\n', '\n    ', '\r\n\t', '()', '""']) {
    assert.ok(!isAcceptedPart(key), key);
  }
});

test('the cursor is behind a key, and within a pair', () => {
  assert.equal(cursorAfterKey(insertion(4, 'n')), 5);
  assert.equal(cursorAfterKey(insertion(4, '\n    ')), 9);
  assert.equal(cursorAfterKey(insertion(4, '()')), 5);
  assert.equal(cursorAfterKey({ rangeOffset: 4, rangeLength: 3, text: 'n' }), 5);
});

test('what is accepted, pasted or taken back is no key to ask after', () => {
  assert.equal(cursorAfterKey(insertion(4, 'name')), null);
  assert.equal(cursorAfterKey(insertion(4, '\n    \n')), null);
  assert.equal(cursorAfterKey({ rangeOffset: 4, rangeLength: 1, text: '' }), null);
});

test('lengths count code points, as Python does', () => {
  assert.equal(numCodePoints('é🎉x'), 3);
});

// Injected into the workbench's page by tests/editors/vscode.py.
window.probe = {
  text(element) { return element.textContent.replace(/\u00a0/g, ' ').replace(/\u200b/g, ''); },
  group(index) {
    const groups = [...document.querySelectorAll('.editor-group-container')];
    return index === null
      ? document.querySelector('.editor-group-container.active') : groups[index];
  },
  hasFocus(index = null) {
    return !!this.group(index)?.querySelector('.monaco-editor')?.contains(document.activeElement);
  },
  ghost(index = null) {
    const group = this.group(index);
    if (!group) return '';
    const first = [...group.querySelectorAll(
      '.view-lines .ghost-text-decoration, .view-lines .ghost-text-decoration-preview')];
    const further = [...group.querySelectorAll('.suggest-preview-text .view-line')];
    const inline = first.map(this.text).join('');
    const lines = further
      .sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top)).map(this.text);
    return [inline, ...lines].join('\n');
  },
  lines(index = null) {
    return [...this.group(index).querySelectorAll('.editor-instance .view-lines .view-line')]
      .sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top))
      .map(line => [...line.querySelectorAll('span span')]
        .filter(part => !/ghost-text/.test(part.className)).map(this.text).join(''));
  },
  frames: [], keys: [], watching: 0, toasts: new Set(),
  watch() {
    this.frames = []; this.keys = [];
    const turn = ++this.watching;
    // A message posted in an animation frame arrives when that frame is painted: the editor draws
    // in an animation frame too, perhaps behind this one.
    const painted = new MessageChannel();
    painted.port1.onmessage = () => {
      if (turn !== this.watching) return;
      this.frames.push([performance.now(), this.ghost()]);
      requestAnimationFrame(() => painted.port2.postMessage(0));
    };
    requestAnimationFrame(() => painted.port2.postMessage(0));
  },
};
// A toast may go away by itself before a test looks.
setInterval(() => {
  for (const toast of document.querySelectorAll(
    '.notifications-toasts .notification-list-item-message')) probe.toasts.add(probe.text(toast));
}, 100);
addEventListener('keydown', event => probe.keys.push([event.timeStamp, event.key]), true);

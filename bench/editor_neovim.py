"""What a key costs until its ghost text is painted, in a real Neovim: `python -m bench.editor_neovim`.

A table; the last line is one JSON object. Neovim itself takes the times: from `InsertCharPre`, which is
before the key's character is in the buffer, to the end of the first redraw that has ghost text. Once
with an engine that answers at once (the stub: what editor, client and server cost), once with the demo
model. Nothing else should run meanwhile.
"""

import json
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.keystrokes import percentile
from tests.editors.neovim import Neovim
from tests.processes import stop_engine

ABOVE = "import json\nimport os\nfrom pathlib import Path\n\n\n" + "".join(
    f"def step_{n}(values):\n    total = sum(values) + {n}\n    return total / len(values)\n\n\n"
    for n in range(60)
)
# Each key of it is another text than the ghost text behind the key before it, or the same: as it comes.
TYPED = 'with open(path, encoding="utf-8") as stream: settings = json.load(stream)'
NUM_TYPED_THROUGH = 24
PATIENCE_S = 5.0

# Where there is syntax highlighting Neovim draws once before its events and again after them, and sends
# both to the terminal together: what counts is the second.
CLOCK = """
_G.keys, _G.painted, _G.empty_frames, _G.num_handled = {}, {}, 0, 0
vim.api.nvim_create_autocmd('InsertCharPre', { callback = function()
  table.insert(keys, vim.uv.hrtime())
end })
vim.api.nvim_create_autocmd('TextChangedI', { callback = function()
  num_handled = #keys
end })
vim.api.nvim_set_decoration_provider(vim.api.nvim_create_namespace('bench'), { on_end = function()
  if num_handled < #keys then
    return
  elseif ghost() == '' then
    empty_frames = empty_frames + 1
  elseif #keys > 0 and not painted[#keys] then
    painted[#keys] = (vim.uv.hrtime() - keys[#keys]) / 1e6
  end
end })
"""
READ = "painted[#keys] or vim.NIL"


def measure(settings: dict[str, Any], pause_s: float) -> dict[str, Any]:
    """Milliseconds from key to paint, for keys that ask anew and keys along the ghost text."""
    folder = Path(tempfile.mkdtemp(prefix="ink-"))
    file = folder / "settings.py"
    file.write_text(f"{ABOVE}def read(path):\n")
    neovim = Neovim(file, folder, settings)
    try:
        neovim.send("Goreturn os.path.")
        neovim.wait_for_ghost()  # the engine has started
        neovim.send("<Esc>S")
        time.sleep(1)
        neovim.run(CLOCK)
        asked = [wait_for_paint(neovim, key, pause_s) for key in TYPED]
        through, num_blinks = type_through(neovim, pause_s)
    finally:
        neovim.close()
        stop_engine(folder / "runtime")
        shutil.rmtree(folder, ignore_errors=True)
    return {"any_key": summary(asked), "typed_through": summary(through), "blinks": num_blinks}


def wait_for_paint(neovim: Neovim, key: str, pause_s: float) -> float | None:
    """Type a key; its time until ghost text was painted, None if there was none."""
    number = int(neovim.lua("#keys"))
    neovim.send("<lt>" if key == "<" else key)
    deadline = time.monotonic() + PATIENCE_S
    time.sleep(pause_s)
    while True:
        painted = neovim.lua(READ) if neovim.lua("#keys") > number else None
        if painted is not None:
            return float(painted)
        if time.monotonic() > deadline or is_silent(neovim):
            return None
        time.sleep(0.02)


def is_silent(neovim: Neovim) -> bool:
    """Whether the server has said that there is nothing for this key."""
    return str(neovim.lua("require('inkling').statusline()")).endswith(
        ("nothing to add", "confidence")
    )


def type_through(neovim: Neovim, pause_s: float) -> tuple[list[float | None], int]:
    """Type along the ghost text. Times to paint, and frames in which it was gone meanwhile."""
    times: list[float | None] = []
    num_blinks = 0
    while len(times) < NUM_TYPED_THROUGH:
        neovim.send("<Esc>oreturn os.path.")
        text = neovim.wait_for_ghost().split("\n")[0]
        neovim.run("empty_frames = 0")
        times += [wait_for_paint(neovim, key, pause_s) for key in text[:-1]]
        num_blinks += int(neovim.lua("empty_frames"))
    return times, num_blinks


def summary(times: list[float | None]) -> dict[str, Any]:
    """How many keys, how many of them got ghost text, and how fast."""
    shown = [it for it in times if it is not None]
    return {
        "keys": len(times),
        "shown": len(shown),
        "p50_ms": round(percentile(shown, 0.5), 1),
        "p95_ms": round(percentile(shown, 0.95), 1),
    }


def main() -> None:
    results = {
        "stub": measure({"engine": {"model": "stub"}}, 0.08),
        "demo": measure({}, 0.12),
    }
    print(f"{'engine':8} {'keys':16} {'shown':>9} {'p50 ms':>8} {'p95 ms':>8} {'blinks':>7}")
    for engine, result in results.items():
        for kind in ("any_key", "typed_through"):
            it = result[kind]
            blinks = result["blinks"] if kind == "typed_through" else ""
            shown = f"{it['shown']}/{it['keys']}"
            row = f"{engine:8} {kind.replace('_', ' '):16} {shown:>9} "
            print(f"{row}{it['p50_ms']:8} {it['p95_ms']:8} {blinks:>7}")
    print(json.dumps({"machine": platform.machine(), "results": results}))


if __name__ == "__main__":
    main()

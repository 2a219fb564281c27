import re
from dataclasses import replace

from inkling.context.marks import scan
from inkling.postprocess.draft import Draft

_FENCE = re.compile(r"\s*```[\w+#.-]*\s*")
_SAYING = re.compile(
    r"(?:Sure|Certainly|Of course|Here(?:'s| is| are)|Below is)\b[^(){}\[\]=;]*[:.!]\s*"
)
_SAYINGS = ("Sure", "Certainly", "Of course", "Here's ", "Here is ", "Here are ", "Below is ")
_PROSE = frozenset({"markdown", "mdx", "quarto", "rmd", "plaintext", "latex", "restructuredtext"})


def drop_chat(draft: Draft) -> Draft:
    """Only the code of an answer in Markdown: no fence, no "Here is the code:", nothing after it.

    A fence in a string or comment is the document's own, and so is every one in prose.
    """
    lines = draft.text.split("\n")
    if draft.place.language in _PROSE or not any(map(_may_be_chat, lines)) or draft.place.inside:
        return draft
    num_finished = len(draft.finished_lines)
    start = next((index for index, line in enumerate(lines) if line.strip()), 0)
    lead, code = lines[:start], start
    while code < num_finished and _is_chat(lines[code]):
        code += 1
        while code < len(lines) - 1 and not lines[code].strip():
            code += 1
    for index in range(code, len(lines)):
        is_finished = index < num_finished
        is_end = (_is_chat if is_finished else _may_be_chat)(lines[index])
        if is_end and not _in_text(draft, "\n".join(lines[code:index]) + "\n"):
            text = "\n".join([*lead, *lines[code:index]])
            if is_finished:
                return replace(draft, text=text).cut(len(text), "chat")
            return replace(draft, text=f"{text}\n" if lead or index > code else "")
    text = "\n".join([*lead, *lines[code:]])
    return replace(draft, text=text, cut_by="" if text.strip() else "chat")


def _is_chat(line: str) -> bool:
    return bool(_FENCE.fullmatch(line) or _SAYING.fullmatch(line))


def _may_be_chat(line: str) -> bool:
    """Whether a line is chat, or may become it once it is finished."""
    if not line.strip():
        return False
    if "```".startswith(line.strip()) or _FENCE.fullmatch(line):
        return True
    return any(line.startswith(saying) or saying.startswith(line) for saying in _SAYINGS)


def _in_text(draft: Draft, code: str) -> bool:
    """Whether a string or comment is open after `code`."""
    marks = draft.place.marks
    return marks is not None and scan(code, marks).inside not in ("", "\n")

"""`textDocument/completion` for clients without inline completion: items of a menu, no ghost text.

Clients filter a menu by the word being typed, and show a label for each item. So an item stands for
the word before the cursor and the text behind it, though only the latter is new. The list is always
incomplete: the client asks again at the next key, and the rest is served from what was generated.
"""

from dataclasses import dataclass

from lsprotocol import types
from pygls.capabilities import get_capability

from inkling.lsp.documents import OpenDocument
from inkling.lsp.inline_completion import INVOKED_PATIENCE_S, PATIENCE_S, answer, items_of
from inkling.lsp.language_server import InklingServer
from inkling.lsp.line_index import Encoding

# Clients ask by themselves inside words. These are where a value, an argument or a name begins.
# Neither line end nor tab: the next key may be Enter or Tab again, which accept in many menus.
OPTIONS = types.CompletionOptions(
    trigger_characters=[" ", ".", "(", "[", "{", "=", ","], resolve_provider=False
)
MAX_LABEL_CHARS = 60
# Before every digit and letter. Other servers sort by "09.9999.name" or by the name itself, hundreds
# of items: behind these nobody would ever see this one, before them it moves them by a line.
SORTED_FIRST = "!"


@dataclass(frozen=True, slots=True)
class Place:
    """What items need to know of the document, as it was when the client asked."""

    language: str
    word: str  # what is typed of it before the cursor; empty behind anything but a word
    range: types.Range  # of the word


def lacks_inline_completion(capabilities: types.ClientCapabilities) -> bool:
    """Whether the client has only a menu to show completions in."""
    return get_capability(capabilities, "text_document.inline_completion") is None


async def completion(ls: InklingServer, params: types.CompletionParams) -> types.CompletionList:
    """The inline completion, or what is finished of it when patience ends, as items of a menu.

    A request that a newer one has superseded gets an incomplete list without items, as where there
    is nothing to show: after `null` a client may ask no more in this word.
    """
    document = ls.documents.use(params.text_document.uri)
    place = _place(document, params.position, ls.encoding) if document else None
    by_hand = place is not None and _is_by_hand(params.context, place)
    kinds = types.InlineCompletionTriggerKind
    inline = types.InlineCompletionParams(
        types.InlineCompletionContext(kinds.Invoked if by_hand else kinds.Automatic),
        params.text_document,
        params.position,
    )
    patience_s = INVOKED_PATIENCE_S if by_hand else PATIENCE_S
    shown = await answer(ls, inline, lambda items: None, patience_s, items_of)
    items: list[types.CompletionItem] = []
    if shown is not None and place is not None:
        kind = _documentation_kind(ls.client_capabilities)
        items = [_item(each, rank, place, kind) for rank, each in enumerate(shown.items)]
    return types.CompletionList(is_incomplete=True, items=items)


def _place(document: OpenDocument, position: types.Position, encoding: Encoding) -> Place:
    text = document.text or ""
    start = end = document.offset_at(position, encoding)
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    ends = (document.position_at(start, encoding), document.position_at(end, encoding))
    return Place(document.language, text[start:end], types.Range(*ends))


def _is_by_hand(context: types.CompletionContext | None, place: Place) -> bool:
    """Whether the user asked. "Invoked" is also how a client calls that a word is being typed, but
    where there is no word, none asks by itself except at a trigger character."""
    invoked = types.CompletionTriggerKind.Invoked
    return context is not None and context.trigger_kind is invoked and not place.word


def _item(
    inline: types.InlineCompletionItem, rank: int, place: Place, kind: types.MarkupKind
) -> types.CompletionItem:
    text = f"{place.word}{inline.insert_text}"
    first_line, _, _ = text.lstrip().partition("\n")
    label = first_line.rstrip()[:MAX_LABEL_CHARS]
    return types.CompletionItem(
        label=label if label == text.strip() else f"{label}…",
        kind=types.CompletionItemKind.Text,
        detail="Inkling",
        documentation=types.MarkupContent(kind, _documentation(text, place.language, kind)),
        preselect=False,
        sort_text=f"{SORTED_FIRST}{rank}",
        filter_text=first_line.rstrip(),
        insert_text_format=types.InsertTextFormat.PlainText,
        # The text is indented already.
        insert_text_mode=types.InsertTextMode.AsIs,
        text_edit=types.TextEdit(place.range, text),
        command=inline.command,
    )


def _documentation_kind(capabilities: types.ClientCapabilities) -> types.MarkupKind:
    path = "text_document.completion.completion_item.documentation_format"
    markdown = types.MarkupKind.Markdown
    known = get_capability(capabilities, path) or ()
    return markdown if markdown in known else types.MarkupKind.PlainText


def _documentation(text: str, language: str, kind: types.MarkupKind) -> str:
    """The whole text, of which the label is one line at most."""
    if kind is types.MarkupKind.PlainText:
        return text
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"

"""didOpen, didChange, didClose: keeps the documents as the editor has them."""

from lsprotocol import types

from inkling.lsp.documents import OpenDocument
from inkling.lsp.language_server import InklingServer


def did_open(ls: InklingServer, params: types.DidOpenTextDocumentParams) -> None:
    """Take a document's text."""
    item = params.text_document
    language = str(getattr(item.language_id, "value", item.language_id))
    ls.documents.open(OpenDocument(item.uri, language, item.version, item.text))


def did_change(ls: InklingServer, params: types.DidChangeTextDocumentParams) -> None:
    """Follow the editor's changes. Those to a document that is not open are ignored."""
    document = ls.documents.use(params.text_document.uri)
    if document is not None:
        document.edit(params.content_changes, params.text_document.version, ls.encoding)


def did_close(ls: InklingServer, params: types.DidCloseTextDocumentParams) -> None:
    """Forget a document, and end what runs for it."""
    uri = params.text_document.uri
    ls.documents.close(uri)
    if request := ls.running.get(uri):
        request.cancel()
    if writing := ls.functions.get(uri):
        writing.cancel()
    ls.start(_forget(ls, uri))


async def _forget(ls: InklingServer, uri: str) -> None:
    (await ls.completer()).closed(uri)

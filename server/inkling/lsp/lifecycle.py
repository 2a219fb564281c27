"""From `initialize` to `shutdown`: where the settings come from, and when work starts and ends."""

from lsprotocol import types

from inkling.lsp import completion
from inkling.lsp.language_server import InklingServer


def initialize(ls: InklingServer, params: types.InitializeParams) -> None:
    """Note the settings. Everything slow waits for `initialized`: this answer must be quick."""
    ls.configuration.set_editor_options(params.initialization_options)
    ls.configuration.workspace_root = next(iter(ls.roots), None)
    # What the server is capable of is announced after this: both would be shown one over the other.
    if completion.lacks_inline_completion(params.capabilities):
        ls.feature(types.TEXT_DOCUMENT_COMPLETION, completion.OPTIONS)(completion.completion)


def initialized(ls: InklingServer, params: types.InitializedParams) -> None:
    """Get ready before the first key."""
    ls.start(_warm_up(ls))


def did_change_configuration(ls: InklingServer, params: types.DidChangeConfigurationParams) -> None:
    """Use the editor's new settings. Without any, read the files and the environment anew."""
    if params.settings is not None:
        ls.configuration.set_editor_options(params.settings)
    ls.start(ls.configure())


def did_change_workspace_folders(
    ls: InklingServer, params: types.DidChangeWorkspaceFoldersParams
) -> None:
    """Use the settings file of the folder that is the first one now, and index those there are."""
    ls.configuration.workspace_root = next(iter(ls.roots), None)
    ls.start(_follow_folders(ls))


async def shutdown(ls: InklingServer, params: None) -> None:
    """End all work; `exit` follows."""
    ls.is_shut_down = True
    await ls.aclose()


async def _warm_up(ls: InklingServer) -> None:
    completer = await ls.completer()
    await completer.set_roots(ls.roots)
    await completer.warm_up()


async def _follow_folders(ls: InklingServer) -> None:
    await ls.configure()
    await (await ls.completer()).set_roots(ls.roots)

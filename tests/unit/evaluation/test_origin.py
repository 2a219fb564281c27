"""What `inkling/inlineCompletion` adds to the standard answer: where its text comes from."""

from tests.unit.lsp.editor import Editor


async def test_each_streamed_list_says_which_call_it_comes_from_and_why_it_is_empty() -> None:
    editor = Editor()
    await editor.start()
    try:
        editor.completer.script = lambda request: ["one"] if request.offset == 1 else []
        editor.open("xy")
        answer = await editor.ask_at(0, 1, partialResultToken="t")
        assert answer["origin"] == {"call": "id1", "fromCache": False, "silence": ""}
        [report] = editor.received["$/progress"]
        assert report["value"]["origin"] == answer["origin"]
        empty = await editor.ask_at(0, 2, partialResultToken="t")
        assert (empty["items"], empty["origin"]["silence"]) == ([], "scripted")
    finally:
        await editor.stop()

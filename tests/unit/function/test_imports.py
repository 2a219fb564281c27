"""Which imports a new function brings: a real workspace with a real index; `‸` is the cursor."""

import pytest

from inkling.core import DocumentSnapshot
from inkling.function.edit import Edit, edited
from inkling.function.imports import import_edits
from inkling.workspace.workspace import Workspace
from tests.unit.function.conftest import Indexed
from tests.unit.function.pictures import place_in

FILES = r"""
    shop/__init__.py: \n
    shop/order.py: from decimal import Decimal as D\n\nclass Order:\n    def total(self):\n        return D(1)\n
    shop/money.py: import numpy as np\nimport os.path\n\ndef rounded(x):\n    return np.round(D(x))\n
    src/tools/deep/text.py: def slugify(text):\n    return text\n
    a/one.py: def twice(x):\n    return x\n
    b/two.py: def twice(x):\n    return x\n
    web/order.ts: export function orderTotal(n: number) { return n; }\nexport interface Order {}\n
    web/hidden.ts: function concealed() { return 1; }\n
    web/list/index.ts: const shown = () => 1;\nexport { shown };\n
"""


def after(workspace: Workspace, picture: str, written: str, path: str = "shop/app.py") -> str:
    """The document with the function and its imports."""
    language = "python" if path.endswith(".py") else "typescript"
    place = place_in(picture, language)
    assert place is not None
    text = picture.replace("‸", "")
    document = DocumentSnapshot((workspace.root / path).as_uri(), path, language, text, 1)
    edit = Edit(place.start, place.end, place.lead + written + place.tail)
    imports = import_edits(document, place, edit, workspace)
    assert len(imports) <= 1
    return edited(text, (*imports, edit))


@pytest.mark.parametrize(
    ("used", "statement"),
    [
        ("np.array([1])", "import numpy as np"),
        ("D('1')", "from decimal import Decimal as D"),
        ("json.dumps(a)", "import json"),
        ("Order()", "from shop.order import Order"),
        ("slugify(a)", "from tools.deep.text import slugify"),
        ("[json.dumps(Order()) for x in a]", "import json\nfrom shop.order import Order"),
    ],
)
def test_python_names_are_imported(indexed: Indexed, used: str, statement: str) -> None:
    workspace = indexed(FILES)
    document = f"'''Doc.'''\n\nimport sys\n\n\ndef f(a):\n    return {used}\n"
    expected = document.replace("import sys", f"import sys\n{statement}")
    assert (
        after(workspace, document.replace(f"return {used}", "...‸"), f"return {used}") == expected
    )


@pytest.mark.parametrize(
    "used",
    [
        *("len(a)", "sys.argv", "helper(a)", "a.total()", "twice(a)", "unknown(a)", "json", "f(a)"),
        *("[rounded for rounded in a]", "lambda slugify: slugify", "(Order := a)"),
    ],
)
def test_what_is_known_or_not_known_for_sure_is_left_alone(indexed: Indexed, used: str) -> None:
    workspace = indexed(FILES)
    document = f"import sys\n\n\ndef helper(a):\n    return a\n\n\ndef f(a):\n    return {used}\n"
    assert (
        after(workspace, document.replace(f"return {used}", "...‸"), f"return {used}") == document
    )


def test_where_imports_go_in_a_file_without_any(indexed: Indexed) -> None:
    workspace = indexed(FILES)
    function = "def f(a):\n    return json.dumps(a)"
    assert after(workspace, "# dumps an order‸\n", function) == (
        f"import json\n\n\n# dumps an order\n{function}\n"
    )
    assert after(workspace, "'''Doc.'''\n\n# dumps an order‸\n", function) == (
        f"'''Doc.'''\n\nimport json\n\n# dumps an order\n{function}\n"
    )


def test_methods_are_read_as_well_as_functions(indexed: Indexed) -> None:
    workspace = indexed(FILES)
    picture = "import sys\n\n\nclass A:\n    # dumps an order\n    ‸\n"
    result = after(workspace, picture, "def f(self):\n        return json.dumps(Order())")
    assert result.startswith("import sys\nimport json\nfrom shop.order import Order\n\n\nclass A:")


def test_a_document_that_does_not_compile_gets_none(indexed: Indexed) -> None:
    workspace = indexed(FILES)
    picture = "def broken(:\n\n\ndef f(a):\n    ...‸\n"
    assert "import" not in after(workspace, picture, "return json.dumps(a)")


def test_exports_of_the_workspace_are_imported_in_the_documents_style(indexed: Indexed) -> None:
    workspace = indexed(FILES)
    picture = "import fs from 'node:fs'\n\nfunction f(a: number) {‸}\n"
    written = "const local = orderTotal(a);\n  return shown(concealed(local, fs));"
    assert after(workspace, picture, written, "web/view.ts") == (
        "import fs from 'node:fs'\nimport { orderTotal } from './order'\n"
        "import { shown } from './list'\n\n"
        f"function f(a: number) {{\n  {written}\n}}\n"
    )
    picture = 'import { x } from "./x.js";\n\nfunction f(a: number) {‸}\n'
    result = after(workspace, picture, "return orderTotal(a);", "web/deep/view.ts")
    assert '\nimport { orderTotal } from "../order.js";\n\n' in result

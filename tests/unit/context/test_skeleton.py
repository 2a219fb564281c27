"""What is left of a definition when its code is taken away."""

import pytest

from inkling.context.skeleton import MAX_LINES, definitions_of, skeleton

PYTHON = '''\
@dataclass(frozen=True)
class Order(Base):
    """One order.

    price = 3 is no field.
    """

    number: int
    items: list[str] = field(default_factory=list)

    # The sum.
    def total(
        self, rate: float
    ) -> float:
        """With tax."""
        tax = rate
        return tax

    class Line:
        amount: int


def send(order: Order, *, to: str) -> None:
    connect(to).send(order)
'''
TYPESCRIPT = """\
export class Queue extends Base {
  private tasks: Task[] = [];

  add(task: Task): void {
    this.tasks.push(task);
  }
}
"""


def skeleton_of(text: str, language: str, name: str) -> str:
    found = definitions_of(language, text)
    [meant] = [it for it in found if it.name == name]
    return skeleton(text.split("\n"), found, meant)


def test_a_class_shows_its_fields_and_its_methods_headers() -> None:
    assert skeleton_of(PYTHON, "python", "Order") == (
        "class Order(Base):\n"
        "    number: int\n"
        "    items: list[str] = field(default_factory=list)\n"
        "    def total(\n"
        "        self, rate: float\n"
        "    ) -> float:\n"
        "    class Line:"
    )


def test_a_function_shows_its_header() -> None:
    assert skeleton_of(PYTHON, "python", "send") == "def send(order: Order, *, to: str) -> None:"


def test_braces_are_no_members() -> None:
    shown = skeleton_of(TYPESCRIPT, "typescript", "Queue").split("\n")
    assert [line.strip() for line in shown] == [
        "export class Queue extends Base",
        "private tasks: Task[] = [];",
        "add(task: Task): void",
    ]


@pytest.mark.parametrize("num_fields", [3, 100])
def test_a_long_class_is_cut(num_fields: int) -> None:
    text = "class Big:\n" + "".join(f"    field_{n}: int\n" for n in range(num_fields))
    shown = skeleton_of(text, "python", "Big").split("\n")
    assert len(shown) == min(num_fields + 1, MAX_LINES)


def test_a_line_of_data_is_left_out() -> None:
    text = f"class Big:\n    data = '{'x' * 500}'\n    name: str\n"
    assert skeleton_of(text, "python", "Big") == "class Big:\n    name: str"

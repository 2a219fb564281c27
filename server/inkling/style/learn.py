"""All learners over a sample: what the code itself says."""

from collections.abc import Iterator, Sequence

from inkling.style.learn_documentation import learn_documentation
from inkling.style.learn_javascript import learn_javascript
from inkling.style.learn_layout import learn_layout
from inkling.style.learn_names import learn_names
from inkling.style.learn_python import learn_python
from inkling.style.learn_tests import learn_tests
from inkling.style.rules import Rule
from inkling.style.sample import Source


def learn(sources: Sequence[Source]) -> Iterator[Rule]:
    """The rules that the sources follow clearly, family by family. Mixed evidence is no rule."""
    for family in sorted({source.family for source in sources}):
        members = [source for source in sources if source.family == family]
        yield from learn_layout(family, members)
        yield from learn_names(family, members)
        yield from learn_documentation(family, members)
        yield from learn_tests(family, members)
        if family == "python":
            yield from learn_python(members)
        if family == "javascript":
            yield from learn_javascript(members)

"""Does the learnt style agree with what ten pinned packages declare to their formatters and linters?

python -m bench.style [--folder DIR]

Fetches the source distributions (pip, kept in the folder), learns from the code alone, without a look at
any configuration, and compares with what the package's configuration declares. Checkable facts, of Python:

- indent, quotes and line length, where a formatter is declared (ruff format, black, yapf), by its settings
  and otherwise its defaults; a formatter counts as declared if it has a table in pyproject.toml or a hook in
  .pre-commit-config.yaml;
- what a linter enforces of them (flake8's and ruff's line length unless E501 is ignored, flake8-quotes) and
  what .editorconfig says;
- the docstring convention where it is google or numpy: pep257 leaves the form of sections open.

Of several sources of one fact the strongest counts, as in `inkling style`. A fact about which nothing is
learnt counts as not agreeing. Prints a table; the last line is JSON.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from inkling.style.learn import learn
from inkling.style.profile import configured_rules
from inkling.style.rules import Kind, Rule
from inkling.style.sample import own_code, read_sample
from inkling.workspace.scan import scan

# Chosen by what their configuration declares, before anything was learnt from them.
PACKAGES = (
    *("anyio==4.16.0", "attrs==26.1.0", "black==26.10.1", "langchain-core==1.8.4"),
    *("optuna==5.0.0", "pydantic==2.14.4", "pytest==9.2.0", "scanpy==1.11.5"),
    *("structlog==26.1.0", "trio==0.35.0"),
)
FACTS = (Kind.INDENT, Kind.QUOTES, Kind.LINE_LENGTH, Kind.DOCSTRINGS)
FAMILY = "python"


@dataclass(frozen=True)
class Check:
    """One declared fact, and what the code says of it: "" if nothing clear."""

    package: str
    kind: Kind
    declared: Rule
    learnt: str

    @property
    def agrees(self) -> bool:
        return self.learnt == self.declared.value


def fetch(package: str, folder: Path) -> Path:
    """The unpacked source distribution of `name==version`, fetched if it is not there yet."""
    name, _, version = package.partition("==")
    unpacked = folder / f"{name.replace('-', '_')}-{version}"
    archive = folder / f"{unpacked.name}.tar.gz"
    if not archive.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--no-binary", ":all:", "--dest", str(folder), package], check=True)
    if not unpacked.exists():
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    return unpacked


def checks(package: str, root: Path) -> list[Check]:
    """Each fact that the package's configuration declares, beside what its code says."""
    paths = own_code(scan(root).files)
    learnt = {rule.kind: rule.value for rule in learn(read_sample(root, paths)) if is_python(rule)}
    declared: dict[Kind, Rule] = {}
    for rule in configured_rules(root, paths, []):
        if is_python(rule) and rule.kind in FACTS:
            declared.setdefault(rule.kind, rule)
    return [
        Check(package, kind, declared[kind], learnt.get(kind, ""))
        for kind in FACTS
        if kind in declared
    ]


def is_python(rule: Rule) -> bool:
    return rule.family == FAMILY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".cache/style"))
    parser.add_argument("--packages", nargs="+", default=PACKAGES, metavar="NAME==VERSION")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    done: list[Check] = []
    seconds = []
    for package in arguments.packages:
        root = fetch(package, folder).resolve()
        started = time.process_time()
        found = checks(package, root)
        seconds.append(time.process_time() - started)
        done += found
        agreeing = sum(check.agrees for check in found)
        said = ", ".join(f"{check.kind}: {check.declared.value}" for check in found)
        print(f"{package:<24}{agreeing} of {len(found)}  {seconds[-1]:.1f} s CPU   {said}")
    print()
    for check in done:
        if not check.agrees:
            learnt = check.learnt or "nothing clear"
            source = check.declared.source
            print(f"{check.package} {check.kind}: learnt {learnt}, declared {check.declared.value}")
            print(f"  by {source}")
    agreeing = sum(check.agrees for check in done)
    print(f"{agreeing} of {len(done)} checkable facts agree: {agreeing / len(done):.1%}\n")
    print(
        json.dumps(
            {
                "packages": list(arguments.packages),
                "checkable": len(done),
                "agree": agreeing,
                "share": round(agreeing / len(done), 4),
                "disagree": [
                    [it.package, it.kind, it.declared.value, it.learnt]
                    for it in done
                    if not it.agrees
                ],
                "cpu_s_max": round(max(seconds), 2),
            }
        )
    )


if __name__ == "__main__":
    main()

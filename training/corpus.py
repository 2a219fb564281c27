"""Collect the demo model's corpus: permissive packages → documents + manifest.

    python -m training.corpus download .cache/demo      # pip and npm fetch what packages.toml names
    python -m training.corpus collect .cache/demo       # → corpus-{python,javascript}.jsonl.xz, held-out.jsonl.xz

Nothing that is downloaded is run: wheels and tarballs are only read.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from email.parser import Parser
from pathlib import Path, PurePosixPath

from inkling.context.languages import LANGUAGE_OF_EXTENSION, LANGUAGES
from training import licences
from training.documents import (
    Document,
    clean_text,
    is_skipped_path,
    write_documents,
)

PACKAGES_FILE = Path(__file__).parent / "packages.toml"
MANIFEST_FILE = Path(__file__).parent / "manifest.json"
MOST_CHARACTERS = 3_600_000  # of one package
_FAMILIES = ("python", "javascript")  # what the demo model learns
# Compiled copies of the same sources: read only where a package has nothing else.
_BUILT_NAMES = (
    "build cjs commonjs dist dist-src es es5 es6 esm esm5 fesm2022 lib.commonjs lib.esm module umd "
    "types _cjs _esm _types output out-tsc dist-cjs dist-es dist-web browser amd"
)
_BUILT = frozenset(_BUILT_NAMES.split())
# A file that shares this part of its long lines with a held-out package is taken for a copy of it.
COPIED_SHARE = 0.3
LONG_LINE = 30


@dataclass(frozen=True)
class Package:
    """One package's share in the corpus; `sha256` is over the paths and texts of what was used."""

    name: str
    version: str
    ecosystem: str
    licence: str
    files: int = 0
    characters: int = 0
    sha256: str = ""


def held_out_names() -> dict[str, dict[str, str]]:
    """Held-out packages and their versions, by ecosystem ("pypi", "npm")."""
    content = tomllib.loads(PACKAGES_FILE.read_text())
    return {"pypi": content["held_out"]["python"], "npm": content["held_out"]["javascript"]}


def download(folder: Path) -> None:
    """Let pip and npm fetch the named packages and the held-out ones. Runs no package's code."""
    content = tomllib.loads(PACKAGES_FILE.read_text())
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    for name in content["python"]["packages"]:
        if subprocess.run([*pip, "-d", folder / "wheels", name], check=False).returncode:
            print(f"left out: {name} has no wheel for this Python")
    modules = folder / "npm"
    modules.mkdir(parents=True, exist_ok=True)
    dependencies = dict.fromkeys(content["javascript"]["packages"], "*")
    (modules / "package.json").write_text(
        json.dumps({"name": "corpus", "private": True, "dependencies": dependencies})
    )
    npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps"]
    subprocess.run([*npm, "--omit=optional", "--no-bin-links"], cwd=modules, check=True)
    download_held_out(folder / "held-out")


def download_held_out(folder: Path) -> None:
    """Fetch the held-out packages in their pinned versions, as archives."""
    folder.mkdir(parents=True, exist_ok=True)
    held_out = held_out_names()
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    wanted = [f"{name}=={version}" for name, version in held_out["pypi"].items()]
    subprocess.run([*pip, "-d", folder, *wanted], check=True)
    for name, version in held_out["npm"].items():
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True)


# Reading packages -----------------------------------------------------------------------------


def _documents(package: Package, files: Iterable[tuple[str, bytes]]) -> list[Document]:
    """The clean sources among (path, content) of one package."""
    sources = []
    for path, raw in files:
        language = LANGUAGE_OF_EXTENSION.get(PurePosixPath(path).suffix)
        if language is None or LANGUAGES[language].family not in _FAMILIES:
            continue
        if path.endswith(".pyi") or is_skipped_path(path):
            continue
        sources.append((path, language, raw))
    first_parts = {path.split("/")[0] for path, _, _ in sources}
    has_sources = not first_parts.isdisjoint({"src", "src.ts", "lib", "packages", "source"})
    documents = []
    for path, language, raw in sources:
        is_built = not _BUILT.isdisjoint(path.lower().split("/")[:-1])
        if package.ecosystem == "npm" and has_sources and is_built:
            continue
        text = clean_text(raw, language)
        if text is not None:
            name = f"{package.ecosystem}:{package.name}"
            documents.append(Document(name, path, language, text))
    return documents


def read_wheel(file: Path) -> tuple[Package, list[Document]]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        info = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(info).decode())
        package = Package(
            str(metadata["Name"]).lower().replace("_", "-"),
            str(metadata["Version"]),
            "pypi",
            licences.of_distribution(metadata),
        )
        python = (name for name in names if name.endswith(".py"))
        return package, _documents(package, ((name, archive.read(name)) for name in python))


def read_tarball(file: Path) -> tuple[Package, list[Document]]:
    with tarfile.open(file) as archive:
        files = {
            member.name.split("/", 1)[1]: stream.read()
            for member in archive
            if member.isfile() and (stream := archive.extractfile(member)) is not None
        }
    package = _npm_package(json.loads(files["package.json"]))
    return package, _documents(package, sorted(files.items()))


def _npm_package(content: dict[str, object]) -> Package:
    return Package(
        str(content.get("name")),
        str(content.get("version")),
        "npm",
        licences.of_npm_package(content),
    )


def _read_node_modules(folder: Path) -> Iterator[tuple[Package, list[Document]]]:
    """Each package below a node_modules folder, nested ones too."""
    for modules in sorted([folder, *folder.rglob("node_modules")]):
        for root in sorted([*modules.glob("*"), *modules.glob("@*/*")]):
            try:
                package = _npm_package(json.loads((root / "package.json").read_bytes()))
            except (OSError, ValueError):
                continue
            files = (
                (path.relative_to(root).as_posix(), path.read_bytes())
                for path in sorted(root.rglob("*"))
                if path.suffix in LANGUAGE_OF_EXTENSION and path.is_file()
            )
            yield package, _documents(package, files)


def _read_standard_library() -> tuple[Package, list[Document]]:
    root = Path(sysconfig.get_paths()["stdlib"])
    package = Package("cpython", sys.version.split()[0], "python.org", "PSF-2.0")
    files = (
        (path.relative_to(root).as_posix(), path.read_bytes())
        for path in sorted(root.rglob("*.py"))
        if "site-packages" not in path.parts
    )
    return package, _documents(package, files)


# Choosing -------------------------------------------------------------------------------------


def long_lines(text: str) -> set[int]:
    """Digests of the lines long enough to tell where they come from."""
    lines = (line.strip() for line in text.split("\n"))
    return {hash(line) for line in lines if len(line) >= LONG_LINE}


class Selection:
    """Decides what enters the corpus: licence, held-out packages and copies of them, duplicates."""

    def __init__(self, held_out: Iterable[Document]) -> None:
        held_out = list(held_out)
        self._held_lines = {line for document in held_out for line in long_lines(document.text)}
        self._held_names = {
            name.rsplit("/", 1)[-1] for names in held_out_names().values() for name in names
        }
        self._seen: set[bytes] = set()
        self.dropped: dict[str, int] = defaultdict(int)

    def choose(
        self, found: Iterable[tuple[Package, list[Document]]]
    ) -> Iterator[tuple[Package, list[Document]]]:
        """The packages let in, each with its digest and the documents it contributes."""
        for package, documents in found:
            if not licences.is_permissive(package.licence):
                self.dropped[f"licence: {package.name} ({package.licence[:40]})"] += 1
                continue
            if package.name in self._held_names:
                self.dropped["held-out package"] += 1
                continue
            kept = [document for document in documents if self._is_new(document)]
            kept.sort(key=lambda document: hashlib.sha256(document.path.encode()).digest())
            characters, within = 0, []
            for document in kept:
                characters += len(document.text)
                if characters > MOST_CHARACTERS:
                    break
                within.append(document)
            if within:
                within.sort(key=lambda document: document.path)
                yield _with_digest(package, within), within

    def _is_new(self, document: Document) -> bool:
        parts = document.path.lower().split("/")
        if self._held_names & {*parts[:-1], parts[-1].rsplit(".", 1)[0] if len(parts) > 1 else ""}:
            self.dropped["path of a held-out package"] += 1
            return False
        lines = long_lines(document.text)
        if len(lines & self._held_lines) > COPIED_SHARE * len(lines):
            self.dropped["copy of held-out code"] += 1
            return False
        digest = hashlib.sha256("".join(document.text.split()).encode()).digest()
        if digest in self._seen:
            self.dropped["duplicate"] += 1
            return False
        self._seen.add(digest)
        return True


def _with_digest(package: Package, documents: list[Document]) -> Package:
    digest = hashlib.sha256()
    for document in documents:
        digest.update(f"{document.path}\0{document.text}\0".encode())
    characters = sum(len(document.text) for document in documents)
    return replace(package, files=len(documents), characters=characters, sha256=digest.hexdigest())


def read_held_out(folder: Path) -> list[Document]:
    """The held-out packages' documents, from the archives `download_held_out` fetched."""
    documents: list[Document] = []
    for file in sorted(folder.iterdir()):
        read: Callable[[Path], tuple[Package, list[Document]]]
        read = read_wheel if file.suffix == ".whl" else read_tarball
        documents += read(file)[1]
    # A wheel's scripts are copies of its modules: the answer would lie beside the question.
    return [document for document in documents if ".data/" not in document.path]


def collect(folder: Path) -> None:
    """Read what was downloaded; write the documents of each language group and the manifest."""
    held_out = read_held_out(folder / "held-out")
    write_documents(folder / "held-out.jsonl.xz", held_out)
    selection = Selection(held_out)
    wheels = (read_wheel(file) for file in sorted((folder / "wheels").glob("*.whl")))
    python = list(selection.choose([_read_standard_library(), *wheels]))
    javascript = list(selection.choose(_read_node_modules(folder / "npm" / "node_modules")))
    for name, group in (("python", python), ("javascript", javascript)):
        write_documents(folder / f"corpus-{name}.jsonl.xz", (d for _, docs in group for d in docs))
        total = sum(package.characters for package, _ in group)
        print(f"{name}: {len(group)} packages, {total / 1e6:.1f} M characters")
    write_manifest(MANIFEST_FILE, [package for package, _ in python + javascript])
    for reason, count in sorted(selection.dropped.items()):
        print(f"dropped {count:6d}  {reason}")


def write_manifest(file: Path, packages: Iterable[Package]) -> None:
    entries = sorted(packages, key=lambda package: (package.ecosystem, package.name))
    file.write_text(json.dumps([asdict(entry) for entry in entries], indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("step", choices=["download", "collect"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    steps = {"download": download, "collect": collect}
    steps[arguments.step](arguments.folder)


if __name__ == "__main__":
    main()

"""The prose of the project keeps to plain words of the field.

Docstrings, comments and messages of Python; whole files of the page and of the documentation. A
word in backticks is code and does not count.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Code is not a person, and these words describe it as one; or they are not the field's.
WORDS = re.compile(
    r"\b(whoever|nobody|somebody|no one|told|tells|hears|asks|guilty|wants|gives|lets? go"
    r"|lies|stands|mend(?:s|ed|ing)?|doomed|begun|gives? up|in our words|of ours|in vain)\b",
    re.IGNORECASE,
)
CODE = re.compile(r"``[^`]*``|`[^`\n]*`|```.*?```", re.DOTALL)
# Function docstrings begin with a verb in the imperative, so with none of these.
NO_VERB = re.compile(
    r"""(a|all|an|and|any|are|as|at|both|by|each|every|for|from|half|how|if|in|is|it|its|many|more
    |no|none|not|nothing|of|on|one|only|or|same|several|so|some|text|that|the|their|there|these
    |they|this|those|to|two|what|when|where|whether|which|who|whoever|whose|why|with|without)\b""",
    re.IGNORECASE | re.VERBOSE,
)
NOT_FIRST = ("What ", "How ", "Whether ", "Those ", "Who ", "Whoever ")
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
GENERATED = {"node_modules", ".cache", "build"}

PYTHON = sorted(
    path
    for folder in ("src", "web", "tests", "docs")
    for path in (ROOT / folder).rglob("*.py")
    if not GENERATED & set(path.parts) and path != Path(__file__)
)
TEXTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "web/*.md", "web/page/*", "build.sh", ".github/*/*.yml")
    for path in ROOT.glob(pattern)
)


def _place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _docstrings(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int]]:
    """Yield each documented definition, its docstring, and the line of it."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text is not None:
                yield node, text, node.body[0].lineno


def _messages(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the texts of a module that hold a blank, its docstrings among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value, node.lineno


def _comments(source: str) -> Iterator[tuple[str, int]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string, token.start[0]


def _is_property_or_case(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function needs no verb: the docstring of a case is a rule."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any("property" in one or one.startswith("case(") for one in decorators)


def _faults(path: Path) -> Iterator[str]:
    """Yield the line and the reason of each text that is not plain English."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    in_package = not {"tests", "docs"} & set(path.relative_to(ROOT).parts)
    documented = list(_docstrings(tree))
    docstrings = [(text, line) for _, text, line in documented]
    texts = list(_messages(tree)) if in_package else docstrings
    for text, line in [*texts, *_comments(source)]:
        for word in WORDS.finditer(CODE.sub("", text)):
            yield f"line {line}: {word[0]!r}"
    for node, text, line in documented:
        if text.startswith(NOT_FIRST):
            yield f"line {line}: begins with {text.split()[0]!r}"
        needs_verb = in_package and isinstance(node, FUNCTION) and not _is_property_or_case(node)
        if needs_verb and (first := NO_VERB.match(text)):
            yield f"line {line}: a function's docstring begins with {first[0]!r}"


@pytest.mark.parametrize("path", PYTHON, ids=_place)
def test_python(path: Path) -> None:
    assert list(_faults(path)) == []


@pytest.mark.parametrize("path", TEXTS, ids=_place)
def test_texts(path: Path) -> None:
    text = CODE.sub("", path.read_text(encoding="utf-8"))
    found = [text[max(0, word.start() - 40) : word.end() + 20] for word in WORDS.finditer(text)]
    assert found == []


def test_every_folder_is_read() -> None:
    assert len(PYTHON) > 400
    assert {"README.md", "web/page/main.js", "docs/decisions.md"} <= set(map(_place, TEXTS))

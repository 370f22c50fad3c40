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
NO_VERBS = frozenset(
    [
        "a",
        "all",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "both",
        "by",
        "each",
        "every",
        "for",
        "from",
        "half",
        "how",
        "if",
        "in",
        "is",
        "it",
        "its",
        "many",
        "more",
        "no",
        "none",
        "not",
        "nothing",
        "of",
        "on",
        "one",
        "only",
        "or",
        "same",
        "several",
        "so",
        "some",
        "text",
        "that",
        "the",
        "their",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "two",
        "what",
        "when",
        "where",
        "whether",
        "which",
        "who",
        "whoever",
        "whose",
        "why",
        "with",
        "without",
    ]
)
NOT_FIRST = ("What ", "How ", "Whether ", "Those ", "Who ", "Whoever ")

PYTHON = sorted(
    path for folder in ("src", "web", "tests", "docs") for path in (ROOT / folder).rglob("*.py")
    if not {"node_modules", ".cache", "build"} & set(path.parts) and path != Path(__file__)
)  # fmt: skip
TEXTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "web/*.md",
        "web/page/*",
        "build.sh",
        ".github/**/*.yml",
    )
    for path in ROOT.glob(pattern)
    if path.suffix in {".md", ".js", ".html", ".css", ".sh", ".yml"}
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


def _is_property(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    # The docstring of a case of the contract is its rule.
    return any(ast.unparse(one).endswith(("property", "fixture")) or "fixture(" in ast.unparse(one)
               or ast.unparse(one).startswith("case(") for one in decorators)  # fmt: skip


@pytest.mark.parametrize("path", PYTHON, ids=_place)
def test_python(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    package = "src" in path.parts or "web" in path.parts
    found = [
        f"line {line}: {word[0]!r}"
        for text, line in (*(_messages(tree) if package else ((t, n) for _, t, n in _docstrings(tree))), *_comments(source))
        for word in WORDS.finditer(CODE.sub("", text))
    ]  # fmt: skip
    for node, text, line in _docstrings(tree):
        if text.startswith(NOT_FIRST):
            found.append(f"line {line}: begins with {text.split()[0]!r}")
        if package and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = re.split(r"\W", text.lower(), maxsplit=1)[0]
            if first in NO_VERBS and not _is_property(node):
                found.append(f"line {line}: a function's docstring begins with {first!r}")
    assert not found


@pytest.mark.parametrize("path", TEXTS, ids=_place)
def test_texts(path: Path) -> None:
    text = CODE.sub("", path.read_text(encoding="utf-8"))
    assert not [
        f"{word[0]!r} in: {text[max(0, word.start() - 40) : word.end() + 20]!r}"
        for word in WORDS.finditer(text)
    ]


def test_every_folder_is_read() -> None:
    assert len(PYTHON) > 400
    assert {"README.md", "web/page/main.js", "docs/decisions.md"} <= set(map(_place, TEXTS))

"""Compiler of wheels and zip files: replaces modules by .pyc, to save browsers the compilation.

Bytecode must match the Python that loads it, so compile.mjs runs this inside Pyodide.
"""

import base64
import csv
import hashlib
import io
import py_compile
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo


def compile_archive(source: str, target: str) -> None:
    """Copy the archive `source` to `target`, with `x.pyc` in place of every `x.py`.

    The RECORD of a wheel is rewritten. The same source produces the same bytes.
    """
    with ZipFile(source) as archive:
        contents = {name: archive.read(name) for name in sorted(archive.namelist())}
    compiled = {
        name + "c" if name.endswith(".py") else name: (
            _bytecode(name, content) if name.endswith(".py") else content
        )
        for name, content in contents.items()
        if not name.endswith("/")
    }
    for name in compiled:
        if name.endswith(".dist-info/RECORD"):
            compiled[name] = _record(name, compiled)
    with ZipFile(target, "w") as archive:
        for name, content in compiled.items():
            entry = ZipInfo(name)  # always dated 1980
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)


def _bytecode(name: str, source: bytes) -> bytes:
    with TemporaryDirectory() as folder:
        module, bytecode = Path(folder, "module.py"), Path(folder, "module.pyc")
        module.write_bytes(source)
        py_compile.compile(
            str(module),
            cfile=str(bytecode),
            dfile=name,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        return bytecode.read_bytes()


def _record(record: str, contents: dict[str, bytes]) -> bytes:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    for name, content in contents.items():
        if name == record:
            writer.writerow((name, "", ""))
        else:
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            writer.writerow((name, "sha256=" + digest.decode(), len(content)))
    return lines.getvalue().encode()

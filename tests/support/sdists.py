"""Sources of Python packages that build themselves: an sdist with a backend of its own, which calls the C compiler."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

# A backend in the source itself (PEP 517, backend-path): one shared library, loaded by ctypes, needs no headers.
BACKEND = """
import base64, hashlib, os, subprocess, zipfile
import helper  # a build requirement

def get_requires_for_build_wheel(settings=None):
    return []

def build_wheel(directory, settings=None, metadata=None):
    name, version = @NAME@, @VERSION@
    compiler = os.environ.get("TEST_COMPILER", "@COMPILER@")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "native.so", "native.c"], check=True)
    with open("native.so", "rb") as file:
        native = file.read()
    init = "import ctypes, os\\nvalue = ctypes.CDLL(os.path.dirname(__file__) + '/native.so').value\\n"
    init += "settings = %r\\n" % (settings,) + "helper = %r\\n" % helper.__version__
    info = "%s-%s.dist-info" % (name, version)
    files = {
        name + "/__init__.py": init.encode(),
        name + "/native.so": native,
        info + "/METADATA": ("Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n" % (name, version)).encode(),
        info + "/WHEEL": b"Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: py3-none-any\\n",
    }
    made = "%s-%s-py3-none-any.whl" % (name, version)
    with zipfile.ZipFile(os.path.join(directory, made), "w") as wheel:
        record = ""
        for path, data in files.items():
            wheel.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += "%s,sha256=%s,%d\\n" % (path, digest, len(data))
        wheel.writestr(info + "/RECORD", record + info + "/RECORD,,\\n")
    return made
"""


def native_source(
    name: str = "ext", version: str = "1.0", *, value: int = 42, compiler: str = "cc"
) -> dict[str, str]:
    """The files of a source whose `value()` is computed by compiled code."""
    backend = BACKEND.replace("@NAME@", repr(name)).replace("@VERSION@", repr(version))
    return {
        "pyproject.toml": (
            '[build-system]\nrequires = ["helper"]\nbuild-backend = "own"\nbackend-path = ["tools"]\n'
            f'[project]\nname = "{name}"\nversion = "{version}"\n'
        ),
        "tools/own.py": backend.replace("@COMPILER@", compiler),
        "native.c": f"int value(void) {{ return {value}; }}\n",
    }


def sdist(files: Mapping[str, str], stem: str = "ext-1.0") -> bytes:
    """The files as an sdist's archive."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(f"{stem}/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


def write_source(directory: Path, files: Mapping[str, str]) -> None:
    """The files as a directory."""
    for path, text in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

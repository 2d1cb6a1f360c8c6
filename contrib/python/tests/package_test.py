# SPDX-License-Identifier: BSD-2-Clause
"""The package as it is installed, and under the oldest Python it is for."""

import ast
import glob
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(HERE)
OLDEST = (3, 9)

# What came to the standard library behind OLDEST, as far as one may reach for
# it here: attributes, and keywords of calls.
YOUNGER = {
    "asyncio.TaskGroup", "asyncio.timeout", "asyncio.timeout_at",
    "asyncio.Runner", "asyncio.Barrier", "asyncio.QueueShutDown",
    "contextlib.aclosing", "contextlib.chdir", "enum.StrEnum", "enum.verify",
    "inspect.get_annotations", "inspect.markcoroutinefunction",
    "itertools.batched", "itertools.pairwise", "types.NoneType",
    "typing.Self", "typing.ParamSpec", "typing.TypeAlias", "typing.override",
    "typing.assert_never", "functools.Placeholder", "socket.send_fds",
    "hashlib.file_digest", "sys.exception", "os.process_cpu_count",
}
YOUNGER_NAMES = {"aiter", "anext", "ExceptionGroup", "BaseExceptionGroup",
                 "EncodingWarning"}
YOUNGER_MODULES = {"tomllib", "annotationlib", "compression", "wsgiref.types"}
YOUNGER_KEYWORDS = {"strict": {"zip"}, "slots": {"dataclass"},
                    "kw_only": {"dataclass"}, "uncancel": set(),
                    "loop_factory": {"run"}, "delete_on_close": {
                        "NamedTemporaryFile"}}


def sources():
    return sorted(glob.glob(os.path.join(PACKAGE, "penstock", "*.py")))


class OldestPythonTest(unittest.TestCase):
    def test_syntax(self):
        for path in sources():
            with open(path) as f:
                ast.parse(f.read(), path, feature_version=OLDEST)

    def test_what_is_used_of_the_library(self):
        for path in sources():
            with open(path) as f:
                tree = ast.parse(f.read(), path)
            for node in ast.walk(tree):
                with self.subTest(path=os.path.basename(path),
                                  line=getattr(node, "lineno", 0)):
                    self.check(node)

    def check(self, node):
        if isinstance(node, ast.Attribute) \
                and isinstance(node.value, ast.Name):
            self.assertNotIn(f"{node.value.id}.{node.attr}", YOUNGER)
        elif isinstance(node, ast.Name):
            self.assertNotIn(node.id, YOUNGER_NAMES)
        elif isinstance(node, ast.Import):
            for name in node.names:
                self.assertNotIn(name.name, YOUNGER_MODULES)
        elif isinstance(node, ast.ImportFrom):
            self.assertNotIn(node.module, YOUNGER_MODULES)
            for name in node.names:
                self.assertNotIn(f"{node.module}.{name.name}", YOUNGER)
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            for keyword in node.keywords:
                self.assertNotIn(called,
                                 YOUNGER_KEYWORDS.get(keyword.arg, ()))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            # X | Y between types is of 3.10.
            for part in (node.returns, *(a.annotation for a in
                                         node.args.args)):
                self.assertNotIsInstance(part, ast.BinOp)
        self.assertNotIn(type(node).__name__, ("Match", "TryStar",
                                               "TypeAlias"))

    def test_imports_are_of_the_standard_library(self):
        ours = {"penstock"} | {os.path.basename(p)[:-3] for p in sources()}
        for path in sources():
            with open(path) as f:
                tree = ast.parse(f.read(), path)
            for node in ast.walk(tree):
                names = []
                if isinstance(node, ast.Import):
                    names = [name.name for name in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                for name in names:
                    top = name.partition(".")[0]
                    if os.path.basename(path) == "channels.py" \
                            and top == "channels":
                        continue  # who imports that has it
                    self.assertIn(top, sys.stdlib_module_names, path)
                    self.assertNotIn(top, ours - {"http", "codec"}, path)

    def test_they_can_be_imported(self):
        """Under every Python that is installed."""
        found = {os.path.realpath(p) for d in ("/usr/bin", "/usr/local/bin")
                 for p in glob.glob(f"{d}/python3.*")
                 if re.fullmatch(r"python3\.\d+", os.path.basename(p))}
        modules = [os.path.basename(p)[:-3] for p in sources()
                   if os.path.basename(p) != "channels.py"]
        program = "".join(f"import penstock.{m}\n" for m in modules
                          if m != "__init__")
        for python in sorted(found):
            version = subprocess.run(
                [python, "-c", "import sys; print(*sys.version_info[:2])"],
                capture_output=True, text=True).stdout.split()
            if len(version) == 2 and tuple(map(int, version)) >= OLDEST:
                subprocess.run([python, "-B", "-W", "error", "-c", program],
                               cwd=PACKAGE, check=True)


class WheelTest(unittest.TestCase):
    def test_the_wheel_has_all_modules(self):
        for name in ("pip", "setuptools", "wheel"):
            if importlib.util.find_spec(name) is None:
                self.skipTest(f"there is no {name}")
        with tempfile.TemporaryDirectory() as directory:
            copy = os.path.join(directory, "source")
            subprocess.run(["cp", "-r", PACKAGE, copy], check=True)
            got = subprocess.run(
                [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
                 "--no-index", "--no-build-isolation", "-w", directory, copy],
                capture_output=True, text=True)
            self.assertEqual(got.returncode, 0, got.stderr)
            wheel, = glob.glob(os.path.join(directory, "*.whl"))
            with zipfile.ZipFile(wheel) as z:
                names = {n for n in z.namelist() if n.endswith(".py")}
                metadata, = (z.read(n).decode() for n in z.namelist()
                             if n.endswith("/METADATA"))
            self.assertEqual(names, {f"penstock/{os.path.basename(p)}"
                                     for p in sources()})
            self.assertIn("Requires-Python: >=3.9", metadata)
            self.assertNotIn("Requires-Dist", metadata)
            site = os.path.join(directory, "site")
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet",
                            "--no-index", "--target", site, wheel],
                           check=True, capture_output=True)
            got = subprocess.run(
                [sys.executable, "-m", "penstock.asgi", "--help"],
                env={"PYTHONPATH": site, "PATH": os.environ["PATH"]},
                cwd=directory, capture_output=True, text=True)
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertIn("module:app", got.stdout)


if __name__ == "__main__":
    unittest.main()

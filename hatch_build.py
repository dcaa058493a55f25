"""Compile the kernel of hashed n-grams where a C compiler is found; without one, nothing is lost.

A wheel that holds the library is of this platform, and of any Python, which it does not link. An
editable installation gets the library beside its source. Where nothing could be compiled the wheel
is pure, and numpy computes the same numbers.
"""

import importlib.util
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ROOM = Path("leanformer/runtime/hashed_ngrams")


class KernelHook(BuildHookInterface):
    """Puts the compiled kernel into wheels and editable installations."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say where the library belongs; a failure is reported and forgiven."""
        self._temporary = None
        builder = _builder(Path(self.root) / "src" / _ROOM / "build.py")
        try:
            if version == "editable":
                builder.build()
                return
            self._temporary = tempfile.TemporaryDirectory()
            made = builder.build(Path(self._temporary.name))
        except (OSError, subprocess.SubprocessError) as error:
            self.app.display_warning(f"the kernel of hashed n-grams is left out: {error}")
            return
        build_data["force_include"][str(made)] = str(_ROOM / made.name)
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled for the wheel."""
        if self._temporary is not None:
            self._temporary.cleanup()


def _builder(file: Path) -> ModuleType:
    """The module that compiles, without the package, whose dependencies are not there yet."""
    spec = importlib.util.spec_from_file_location("leanformer_kernel_build", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

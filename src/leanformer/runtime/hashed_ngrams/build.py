"""Compile the kernel beside its source: `python -m leanformer.runtime.hashed_ngrams.build`.

Wheels hold the compiled library, and an editable installation builds it (`hatch_build.py`). Where
no C compiler is found nothing is built and numpy answers; nothing is ever compiled while texts are
answered. The name of the library has the digest of its source, so that one that was built from
another version is not loaded.

Nothing is imported from the package, since a build runs before it is installed.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("kernel.c")
COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-O3", "-shared", "-fPIC", "-std=gnu11", "-s")
_CLONES = "-DLEANFORMER_CLONES"  # functions for wider vectors, which some compilers do not know
_SECONDS = 120


def library(folder: Path = SOURCE.parent) -> Path:
    """Where the library of this source lies, whether it is there or not.

    Its name does not end in .so, which Python would take for a module of its own.
    """
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    return folder / f"kernel-{digest}-{sys.platform}-{platform.machine()}.library"


def compiler() -> str | None:
    """The C compiler: that of the environment variable CC, or the first that is found."""
    asked = os.environ.get("CC", "").split()[:1]
    return next((found for name in (*asked, *COMPILERS) if (found := shutil.which(name))), None)


def build(folder: Path = SOURCE.parent) -> Path:
    """Compile the kernel into `folder`; the library appears whole, or not at all.

    Raises:
        OSError: No compiler is found, it fails, or `folder` cannot be written.
    """
    found = compiler()
    if found is None:
        raise OSError(
            f"no C compiler ({', '.join(COMPILERS)}) is found; install one (on Debian: apt-get "
            "install gcc) or name it in the environment variable CC"
        )
    target = library(folder)
    with tempfile.TemporaryDirectory(prefix=".kernel-", dir=folder) as temporary:
        made = Path(temporary) / target.name
        for extra in ((_CLONES,), ()):
            command = [found, *_FLAGS, *extra, str(SOURCE), "-o", str(made)]
            ended = subprocess.run(
                command, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
            if ended.returncode == 0:
                made.chmod(0o644)
                os.replace(made, target)
                return target
    raise OSError(f"{found} cannot compile {SOURCE}: {ended.stderr.strip()[-500:]}")


def main() -> None:
    """Build beside the source; without a compiler, say so and go on."""
    try:
        sys.stdout.write(f"built {build()}\n")
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"n-grams are computed by numpy, which is slow: {error}\n")


if __name__ == "__main__":
    main()

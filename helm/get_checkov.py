"""Makes an environment for checkov, which pins packages that nothing else here can live beside.

`python helm/get_checkov.py` says where its Python is; `-m checkov.main` runs it.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "checkov"
#: Exactly which packages are in it; `make lock` works them out.
PACKAGES = ROOT / "requirements" / "checkov.txt"
#: The installer of the environment that runs this, told what pip was told on this machine.
UV = (sys.executable, str(ROOT / "requirements" / "uv.py"))


def python_of_checkov() -> Path:
    """Find the Python that has checkov, making its environment where this list has none yet.

    Raises:
        subprocess.CalledProcessError: When the index cannot be reached.
    """
    home = CACHE / hashlib.sha256(PACKAGES.read_bytes()).hexdigest()[:12]
    if not home.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        # Made apart and then moved, so that none is found half made. Its scripts name the place
        # where it was made; they are not used.
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            _make(Path(folder) / "venv")
            (Path(folder) / "venv").rename(home)
    return home / "bin" / "python"


def _make(venv: Path) -> None:
    subprocess.run([*UV, "venv", "--quiet", str(venv)], check=True)  # noqa: S603 - of constants
    install = ("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", str(venv))
    subprocess.run([*UV, *install, "--requirement", str(PACKAGES)], check=True)  # noqa: S603 - the same


if __name__ == "__main__":
    sys.stdout.write(f"{python_of_checkov()}\n")

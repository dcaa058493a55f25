"""The regions of README that benchmarks write: what lies between two comments that name them."""

from pathlib import Path

from leanformer.core.storage.files import write_text

README = Path(__file__).resolve().parents[1] / "README.md"


def write_region(name: str, text: str, path: Path = README) -> None:
    """Replace what lies between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.

    Raises:
        ValueError: The file has no such region.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{path}: no region {name!r}; write {begin} and {end} where it belongs")
    write_text(path, f"{before}{begin}\n{text}{end}{after}")

"""The newest version of a store, read as often as it is asked for and only where it is new."""

import threading
from pathlib import Path

from leanformer.retrieve.store.manifest import Manifest, read_manifest
from leanformer.retrieve.store.snapshot import Generation, Snapshot

_TRIES = 100


class Versions:
    """The versions of the store in a folder, as this process reads them; threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._newest: Snapshot | None = None

    def newest(self) -> Snapshot:
        """The version that is committed now.

        Raises:
            FileNotFoundError: There is no store.
            ValueError: A file is damaged or missing.
        """
        with self._lock:
            for _ in range(_TRIES):
                manifest = read_manifest(self.folder)
                if self._newest is not None and self._newest.manifest == manifest:
                    return self._newest
                state = self._state(manifest)
                try:
                    state.blocks.extend(manifest)
                except FileNotFoundError as error:
                    missing = error
                    if read_manifest(self.folder) == manifest:
                        break
                    continue  # a compaction has just replaced these files by others
                self._newest = Snapshot(manifest, state)
                return self._newest
        raise ValueError(
            f"{missing.filename} is missing, though the manifest names it; restore the store's "
            "folder from a copy, or create it anew from its texts"
        ) from missing

    def _state(self, manifest: Manifest) -> Generation:
        """What is known of the manifest's generation so far.

        Nothing is known of a new generation, nor where the folder was replaced by another store or
        by an older copy.
        """
        former = self._newest
        if (
            former is None
            or (former.store, former.generation) != (manifest.store, manifest.generation)
            or former.version > manifest.version
        ):
            return Generation(self.folder, manifest.generation)
        return former.state

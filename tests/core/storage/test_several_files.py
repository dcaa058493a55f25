import pytest

from leanformer.core.storage.several_files import new_files


def test_a_file_and_those_of_its_stem_appear_together(tmp_path):
    folder = tmp_path / "new" / "folder"
    with new_files(folder, "a.xml") as path:
        path.write_text("graph")
        path.with_suffix(".bin").write_text("weights")
        assert not (folder / "a.xml").exists()
    with new_files(folder, "b.xml") as path:
        path.write_text("another")
    assert sorted(file.name for file in folder.iterdir()) == ["a.bin", "a.xml", "b.xml"]
    with (
        pytest.raises(FileExistsError, match=r"a.xml exists; name another folder"),
        new_files(folder, "a.xml"),
    ):
        pass
    with new_files(folder, "a.xml", overwrite=True) as path:
        path.write_text("again")
    assert (folder / "a.xml").read_text() == "again"


def test_a_failure_leaves_the_folder_as_it_was(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "b.xml").write_text("b")
    for folder in ("kept", "absent"):
        with pytest.raises(KeyError), new_files(tmp_path / folder, "a.xml") as path:
            path.write_text("half")
            raise KeyError
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["b.xml"]
    assert not (tmp_path / "absent").exists()

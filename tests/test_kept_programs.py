"""The folder of compiled functions stays small, and is of this machine."""

import os

import conftest


def test_the_oldest_are_forgotten(tmp_path):
    (tmp_path / "machine").mkdir()
    paths = [tmp_path / "machine" / name for name in "abc"]
    for age, path in enumerate(paths):
        path.write_bytes(bytes(10))
        os.utime(path, (age, age))
    conftest.forget_the_oldest(tmp_path, 30)
    assert all(path.exists() for path in paths)
    conftest.forget_the_oldest(tmp_path, 20)
    assert [path.exists() for path in paths] == [False, True, True]
    conftest.forget_the_oldest(tmp_path, 0)
    assert not any(path.exists() for path in paths)


def test_no_folder_is_nothing_to_forget(tmp_path):
    conftest.forget_the_oldest(tmp_path / "absent", 0)
    assert not (tmp_path / "absent").exists()


def test_other_versions_have_folders_of_their_own(monkeypatch):
    name = conftest.this_machine()
    assert name == conftest.this_machine()
    monkeypatch.setattr(conftest.jax, "__version__", "0.0.1")
    assert conftest.this_machine() != name

"""Label names and their order; the errors a user can meet."""

import errno
import inspect

import pytest

from adaptox import errors
from adaptox.errors import AdaptoxError, ConfigError, MissingExtraError, StorageError, nearest, storage_errors
from adaptox.labels import OPENAI_CATEGORIES, TOXICITY, WARM_START, LabelSet


def test_labels_keep_their_order_and_the_first_is_the_target():
    labels = LabelSet(("toxicity", "hate"))
    assert (list(labels), len(labels), labels.target, labels.index("hate")) == (
        ["toxicity", "hate"],
        2,
        "toxicity",
        1,
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [((), "at least one label"), (("a", "a"), "must differ, got a, a"), (("a", " "), "blank")],
)
def test_labels_need_different_names(names, message):
    with pytest.raises(ConfigError, match=message):
        LabelSet(names)


def test_an_unknown_label_names_the_nearest():
    with pytest.raises(ConfigError, match="unknown label 'toxicty': did you mean 'toxicity'"):
        LabelSet(("toxicity", "hate")).index("toxicty")


def test_a_warm_start_tries_our_own_name_first():
    assert all(names[0] == ours for ours, names in WARM_START.items())
    assert set(WARM_START) <= {TOXICITY, *OPENAI_CATEGORIES}


def test_every_error_stands_in_the_tree_at_the_head_of_the_file():
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, AdaptoxError):
            assert f"{name} " in errors.__doc__ or f"{name}\n" in errors.__doc__
            assert kind.exit_code == (2 if issubclass(kind, errors.InputError) else 1)


def test_a_missing_package_says_what_to_install():
    assert str(MissingExtraError("train", "train", "peft")) == (
        "train needs the package 'peft', which is not installed: pip install 'adaptox[train]'"
    )


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("txt", ("text", "id"), "did you mean 'text'? (there are: id, text)"),
        ("zzz", ("text", "id"), "there are: id, text"),
        ("a", (), "there are none"),
    ],
)
def test_the_nearest_name_is_offered(name, known, said):
    assert nearest(name, known) == said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "larger than the limit"),
        (errno.EROFS, "read-only.*--out"),
        (errno.EACCES, "may not write"),
        (errno.EPERM, "may not write"),
    ],
)
def test_the_disks_refusal_says_what_to_do(tmp_path, code, said):
    with pytest.raises(StorageError, match=f"cannot write .*: .*{said}"), storage_errors(tmp_path):
        raise OSError(code, "refused")


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "runs").write_text("")
    for folder in (tmp_path / "runs", tmp_path / "runs" / "a"):
        with pytest.raises(StorageError, match="a file stands where a folder is needed"), storage_errors(folder):
            folder.mkdir()


def test_other_faults_of_the_system_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), storage_errors(tmp_path):
        (tmp_path / "nothing").read_text()


def test_a_fault_of_a_writer_on_a_full_disk_is_the_disks(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="odd"), storage_errors(tmp_path):
        raise RuntimeError("odd")
    monkeypatch.setattr(errors, "_NEARLY_FULL_BYTES", 2**62)
    with pytest.raises(StorageError, match="the disk is full"), storage_errors(tmp_path / "new" / "run"):
        raise RuntimeError("odd")


def test_our_own_errors_pass_through(tmp_path):
    with pytest.raises(ConfigError, match="ours"), storage_errors(tmp_path):
        raise ConfigError("ours")

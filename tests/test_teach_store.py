"""The store of answers that were paid for."""

from __future__ import annotations

import sqlite3

import pytest

from adaptox.errors import DataError, StorageError
from adaptox.records import Conversation
from adaptox.teach.store import Answer, Store, store_file
from adaptox.teach.values import conversation_key


def test_answers_are_as_they_were_kept_in_every_process(tmp_path):
    file = tmp_path / "deep" / "er" / "answers.sqlite"
    answer = Answer({"hate/threatening": 0.1 + 0.2, "é": 0.0}, 7, 3)
    with Store(file) as one, Store(file) as other:
        one.keep("a", answer)
        assert other.read(["a", "b"]) == {"a": answer}
        other.keep("a", Answer({"x": 1.0}))
        other.keep("b", Answer({"x": 1.0}))
        assert one.known(["a", "b", "c"]) == {"a", "b"}
    with Store(file) as again:
        assert again.read(["a"]) == {"a": answer}


def test_teachers_have_files_of_their_own(tmp_path, monkeypatch):
    first = store_file("chat", "https://a/v1", "m", "p", tmp_path)
    assert first.parent == tmp_path / "teacher"
    assert store_file("chat", "https://a/v1/", "m", "p", tmp_path) == first
    others = [
        store_file("moderation", "https://a/v1", "m", "p", tmp_path),
        store_file("chat", "https://b/v1", "m", "p", tmp_path),
        store_file("chat", "https://a/v1", "n", "p", tmp_path),
        store_file("chat", "https://a/v1", "m", "q", tmp_path),
    ]
    assert len({first, *others}) == 5
    assert store_file("moderation", "https://a/v1", "m", "another", tmp_path) == others[0]
    monkeypatch.setenv("ADAPTOX_CACHE", str(tmp_path / "named"))
    assert store_file("chat", "u", "m", "p").parent == tmp_path / "named" / "teacher"
    monkeypatch.delenv("ADAPTOX_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert store_file("chat", "u", "m", "p").parent == tmp_path / "home" / ".cache" / "adaptox" / "teacher"


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.sqlite").mkdir()
    for file in (tmp_path / "file" / "answers.sqlite", tmp_path / "folder.sqlite"):
        with pytest.raises(
            StorageError, match=r"paid for.*set ADAPTOX_CACHE to a folder that can be written"
        ) as caught:
            Store(file)
        assert str(file) in str(caught.value)


def test_a_store_that_another_process_holds_says_so(store, monkeypatch):
    monkeypatch.setattr("adaptox.teach.store._LOCK_S", 0.05)
    store._database.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="another process holds it"):
        Store(store.file)
    store._database.execute("ROLLBACK")


def whole_store(tmp_path):
    file = tmp_path / "answers.sqlite"
    answers = {conversation_key(Conversation.of(str(n))): Answer({"hate": n / 40}, n, 1) for n in range(40)}
    with Store(file) as store:
        for key, answer in answers.items():
            store.keep(key, answer)
    return file, answers


def test_a_damaged_file_is_named_and_never_thrown_away(tmp_path):
    file, _ = whole_store(tmp_path)
    whole = file.read_bytes()
    for content in (b"hello", b"x" * 5000, whole[:1000], whole[:-4096], b"\0" * 200 + whole[200:]):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"paid for, but it is damaged .*\.recover.*move it away") as caught:
            Store(file)
        assert str(file) in str(caught.value)
        assert file.read_bytes() == content
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE answers (key TEXT)")
    other.close()
    with pytest.raises(DataError, match="of another program or version"):
        Store(tmp_path / "other.sqlite")


def test_no_flipped_byte_changes_an_answer_or_has_it_paid_for_twice(tmp_path):
    file, answers = whole_store(tmp_path)
    whole = file.read_bytes()
    noticed = 0
    for position in range(4096, len(whole), 131):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        try:
            with Store(file) as store:
                assert store.read(answers) == answers, position
        except DataError:
            noticed += 1
    assert noticed > 10

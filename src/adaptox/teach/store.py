"""What a server answered, kept on disk: an answer is paid for once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from adaptox.config import TeacherKind, cache_root
from adaptox.errors import DataError, StorageError

# Raised when the same conversation is sent to a server in other words, so that older answers are not taken for new.
_FORM = 1
# Says in the file's head that it is ours ("adtx"), and which layout it has.
_APPLICATION, _LAYOUT = 0x61647478, 1
# Another process may be writing.
_LOCK_S = 30.0
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_SCHEMA", "SQLITE_ERROR", "SQLITE_MISMATCH")
_REASONS = {
    "SQLITE_FULL": "the disk is full: free some space, or",
    "SQLITE_BUSY": "another process holds it: wait for that one, or",
    "SQLITE_LOCKED": "another process holds it: wait for that one, or",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says of one conversation.

    Attributes:
        scores: name → probability in [0, 1]; none where the server would say nothing.
        prompt_tokens: that were paid for in all attempts, 0 where the server does not say.
        completion_tokens: likewise.
    """

    scores: Mapping[str, float]
    prompt_tokens: int = 0
    completion_tokens: int = 0


def store_file(kind: TeacherKind, url: str, model: str, policy: str, cache: Path | None = None) -> Path:
    """Name the file that holds the answers of one teacher.

    Args:
        kind: moderation or chat.
        url: of the server.
        model: the server's name of it.
        policy: what chat judges by; moderation has one of its own, so it does not count there.
        cache: folder of everything that adaptox keeps between runs; left out, it is what the environment variable
            ADAPTOX_CACHE names, or ~/.cache/adaptox.
    """
    teacher = [_FORM, kind, url.rstrip("/"), model, policy if kind == "chat" else ""]
    return (
        cache_root(cache) / "teacher" / f"{kind}-{hashlib.sha256(json.dumps(teacher).encode()).hexdigest()}.sqlite"
    )


class Store:
    """Answers under the keys of their conversations, in a SQLite file that several processes may have open.

    Every answer is on disk when `keep` returns, whatever becomes of the process. A context manager.

    Args:
        file: made with its folder if it is not there.

    Raises:
        StorageError: it cannot be written. Answers that cannot be kept would be paid for again.
        DataError: it is damaged, or something else.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _not_writable(file, f"{error.strerror}:") from error
        with self._errors():
            self._database = sqlite3.connect(file, timeout=_LOCK_S, isolation_level=None)
        try:
            with self._errors():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was kept stays."""
        self._database.close()

    def known(self, keys: Iterable[str]) -> frozenset[str]:
        """Give those of the keys that have an answer.

        Raises:
            DataError: an answer is not what was kept.
        """
        return frozenset(self.read(keys))

    def read(self, keys: Iterable[str]) -> dict[str, Answer]:
        """Give the answers to those of the keys that have one.

        Raises:
            DataError: an answer is not what was kept.
        """
        wanted = set(keys)
        with self._errors():
            rows = self._database.execute("SELECT key, scores, prompt, completion, digest FROM answers").fetchall()
        answers = {}
        for key, scores, prompt, completion, digest in rows:
            if digest != _digest(key, scores, prompt, completion):
                raise self._damaged("an answer in it has another hash")
            if key in wanted:
                answers[key] = Answer(json.loads(scores), prompt, completion)
        return answers

    def scores(self, keys: Iterable[str]) -> dict[str, Mapping[str, float]]:
        """Give the scores of those of the keys that have an answer.

        Raises:
            DataError: an answer is not what was kept.
        """
        return {key: answer.scores for key, answer in self.read(keys).items()}

    def keep(self, key: str, answer: Answer) -> None:
        """Write an answer; where there is one already, that one stays.

        Raises:
            StorageError: the disk refuses.
        """
        scores = json.dumps(dict(answer.scores))
        row = (key, scores, answer.prompt_tokens, answer.completion_tokens)
        with self._errors():
            self._database.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)", (*row, _digest(*row)))

    def drop(self, keys: Iterable[str]) -> None:
        """Forget the answers to the keys.

        Raises:
            StorageError: the disk refuses.
        """
        with self._errors():
            self._database.executemany("DELETE FROM answers WHERE key = ?", [(key,) for key in keys])

    def _prepare(self) -> None:
        """Check the file from end to end, or lay it out if it is new; either takes the right to write."""
        self._database.execute("BEGIN IMMEDIATE")
        application, layout = self._number("application_id"), self._number("user_version")
        if not self._number("schema_version"):
            self._database.execute(
                "CREATE TABLE answers (key TEXT PRIMARY KEY, scores TEXT NOT NULL, prompt INTEGER NOT NULL, "
                "completion INTEGER NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID"
            )
            self._database.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._database.execute(f"PRAGMA user_version = {_LAYOUT}")
        elif (application, layout) != (_APPLICATION, _LAYOUT):
            raise self._damaged("it is of another program or version")
        self._database.execute("COMMIT")
        ((found,), *_) = self._database.execute("PRAGMA integrity_check(1)")
        if found != "ok":
            raise self._damaged(" ".join(str(found).split()))

    def _number(self, pragma: str) -> int:
        return int(self._database.execute(f"PRAGMA {pragma}").fetchone()[0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (UnicodeDecodeError, sqlite3.Error) as error:
            # Extended names such as SQLITE_READONLY_DIRECTORY begin with the plain one.
            name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
            if name.startswith(_DAMAGED):
                raise self._damaged(str(error)) from error
            reason = next((text for code, text in _REASONS.items() if name.startswith(code)), f"{error}:")
            raise _not_writable(self.file, reason) from error

    def _damaged(self, found: str) -> DataError:
        return DataError(
            f"{self.file} should hold the teacher's answers, which were paid for, but it is damaged ({found}): "
            "restore it from a backup or with `sqlite3 FILE .recover`, or move it away and ask for all again"
        )


def _not_writable(file: Path, reason: str) -> StorageError:
    return StorageError(
        f"cannot keep the teacher's answers, which are paid for, in {file}: {reason} "
        "set ADAPTOX_CACHE to a folder that can be written"
    )


def _digest(key: object, scores: object, prompt: object, completion: object) -> str:
    """Hash a row: SQLite finds damage to its structure, not to what stands in it."""
    return hashlib.sha256(json.dumps([key, scores, prompt, completion]).encode()).hexdigest()

"""Sources: every file in, every refusal out."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import sys
from pathlib import Path

import pytest

import adaptox
from adaptox.config import ColumnMap, SourceConfig
from adaptox.errors import DataError, MissingExtraError
from adaptox.labels import OPENAI_CATEGORIES
from adaptox.sources import catalogue, hub, read, read_all, read_inputs
from adaptox.sources.reading import recognise

TOXIC_CHAT_HEADER = (
    "conv_id",
    "user_input",
    "model_output",
    "human_annotation",
    "toxicity",
    "jailbreaking",
    "openai_moderation",
)


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def write_rows(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    return write(path, text.getvalue())


def plain(path: Path, **columns: object) -> list:
    return list(read(SourceConfig(path=str(path), columns=ColumnMap.model_validate(columns))).examples)


def refusal(path: Path | str, **settings: object) -> str:
    with pytest.raises(DataError) as caught:
        read(SourceConfig.model_validate({"path": str(path), **settings}))
    message = str(caught.value)
    assert "\n" not in message
    return message


def toxic_chat(folder: Path) -> Path:
    scores = json.dumps([["violence", 0.9], ["hate", 0.25], ["self-harm/intent", 0.001]])
    train = [("c1", "be rude to me", "no", "True", 1, 0, scores), ("", 'hi, "you"\nthere', "", "False", 0, 0, "")]
    data = folder / "data" / "0124"
    write_rows(data / "toxic-chat_annotation_train.csv", TOXIC_CHAT_HEADER, train)
    write_rows(
        data / "toxic-chat_annotation_test.csv", TOXIC_CHAT_HEADER, [("c3", "hello", "", "True", 0, 0, "[]")]
    )
    return folder


# --- tables


def test_a_csv_with_usual_column_names_needs_no_mapping(tmp_path):
    path = write(tmp_path / "mine.csv", '\ufefftext,toxicity\n"well, ""hello""\nyou",0\nyou fool,1\n')
    reading = read(SourceConfig(path=str(path)))
    assert [example.conversation.turns[0].content for example in reading.examples] == [
        'well, "hello"\nyou',
        "you fool",
    ]
    assert [dict(example.labels) for example in reading.examples] == [{"toxicity": 0}, {"toxicity": 1}]
    assert [example.id for example in reading.examples] == ["mine/1", "mine/2"]
    assert reading.origin.rows == 2
    assert len(reading.origin.sha256) == 64


def test_a_mapping_names_several_labels_teachers_ids_and_splits(tmp_path):
    path = write_rows(
        tmp_path / "mine.tsv.csv",
        ("key", "said", "bad", "jail", "score", "part"),
        [("a", "hello", "true", "0.0", "0.25", "train"), ("b", "bye", "", "1", "", "dev"), ("c", "x", 0, 0, 1, "")],
    )
    examples = plain(
        path,
        id="key",
        text="said",
        labels={"toxicity": "bad", "jailbreaking": "jail"},
        teacher={"toxicity": "score"},
        split="part",
    )
    assert [dict(example.labels) for example in examples] == [
        {"toxicity": 1, "jailbreaking": 0},
        {"jailbreaking": 1},
        {"toxicity": 0, "jailbreaking": 0},
    ]
    assert [dict(example.teacher) for example in examples] == [{"toxicity": 0.25}, {}, {"toxicity": 1.0}]
    assert [example.split for example in examples] == ["train", "validation", None]
    assert examples[0].id == "mine.tsv/a"


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet", "tsv"])
def test_the_same_rows_are_read_from_every_kind_of_file(tmp_path, suffix):
    rows = [{"text": "hello there", "toxicity": 0}, {"text": "you fool", "toxicity": 1}]
    path = tmp_path / f"mine.{suffix}"
    if suffix == "jsonl":
        write(path, "\n\n".join(json.dumps(row) for row in rows))
    elif suffix == "json":
        write(path, json.dumps(rows))
    elif suffix == "tsv":
        write(path, "text\ttoxicity\nhello there\t0\nyou fool\t1\n")
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    examples = plain(path)
    assert [(e.conversation.turns[0].content, e.labels["toxicity"]) for e in examples] == [
        ("hello there", 0),
        ("you fool", 1),
    ]


def test_messages_come_as_lists_or_as_json_text(tmp_path):
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    lines = write(tmp_path / "a.jsonl", json.dumps({"messages": messages, "label": True}))
    table = write_rows(tmp_path / "b.csv", ("messages", "label"), [(json.dumps(messages), "False")])
    for path in (lines, table):
        assert plain(path)[0].conversation.messages() == messages


def test_labels_and_scores_in_objects_are_found_by_their_field(tmp_path):
    rows = [
        {"text": "hello there", "labels": {"toxicity": 0}, "teacher": {}},
        {"text": "you fool", "labels": {"toxicity": 1, "jailbreaking": 0}, "teacher": {"harassment": 0.9}},
    ]
    path = write(tmp_path / "mine.jsonl", "\n".join(json.dumps(row) for row in rows))
    assert [(dict(e.labels), dict(e.teacher)) for e in plain(path)] == [
        ({"toxicity": 0}, {}),
        ({"toxicity": 1, "jailbreaking": 0}, {"harassment": 0.9}),
    ]
    renamed = plain(path, labels={"toxicity": "labels.jailbreaking"})
    assert [dict(e.labels) for e in renamed] == [{}, {"toxicity": 0}]


def test_rows_carry_the_weight_of_their_source(tmp_path):
    plain_one, light = (write(tmp_path / f"{name}.csv", f"text,toxic\n{name} text,0\n") for name in ("one", "two"))
    sources = [SourceConfig(path=str(plain_one)), SourceConfig(path=str(light), weight=0.5, use="train")]
    assert [row.weight for reading in read_all(sources) for row in reading.examples] == [1, 0.5]


def test_a_folder_of_files_named_by_split_is_one_source(tmp_path):
    for name in ("train", "val", "test"):
        write(tmp_path / "mine" / f"{name}.csv", f"text,toxic\n{name} text,0\n")
    write(tmp_path / "mine" / "notes.txt", "nothing")
    examples = plain(tmp_path / "mine")
    assert [(e.id, e.split) for e in examples] == [
        ("mine/test/1", "test"),
        ("mine/train/1", "train"),
        ("mine/val/1", "validation"),
    ]


def test_files_named_by_split_may_be_packed(tmp_path):
    write(tmp_path / "mine" / "train.csv", "text,toxic\ntrain text,0\n")
    (tmp_path / "mine" / "test.csv.gz").write_bytes(gzip.compress(b"text,toxic\ntest text,1\n"))
    assert [(e.id, e.split) for e in plain(tmp_path / "mine")] == [
        ("mine/test/1", "test"),
        ("mine/train/1", "train"),
    ]


def test_rows_of_one_table_hold_a_text_or_messages(tmp_path):
    spoken = [{"role": "user", "content": "hello there"}]
    rows = [
        {"text": "a", "toxic": 0},
        {"messages": spoken, "toxic": 1},
        {"text": "", "messages": spoken, "toxic": 1},
    ]
    path = write(tmp_path / "mixed.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    said = [example.conversation.turns[0].content for example in plain(path)]
    assert said == ["a", "hello there", "hello there"]
    assert [given.turns[0].content for _, given in read_inputs(path, io.StringIO())] == said
    write(path, '{"text": "a", "toxic": 0}\n{"txt": "b", "toxic": 1}\n')
    assert "mixed.jsonl, line 2: expected 'text' as in other rows, got txt, toxic" in refusal(path)
    csv_file = write(
        tmp_path / "both.csv", f'text,messages\n,"{json.dumps(spoken).replace(chr(34), chr(34) * 2)}"\n'
    )
    assert read_inputs(csv_file, io.StringIO())[0][1].messages() == spoken


def test_a_mapping_goes_before_the_name_of_a_file(tmp_path):
    header, columns = ("class", "tweet", "mine"), {"text": "tweet", "labels": {"toxicity": "mine"}}
    path = write_rows(tmp_path / "labeled_data.csv", header, [(0, "one", 0), (2, "two", 1)])
    mapped = SourceConfig(path=str(path), columns=ColumnMap.model_validate(columns))
    assert [example.labels["toxicity"] for example in read(mapped).examples] == [0, 1]
    assert [example.labels["toxicity"] for example in read(SourceConfig(path=str(path))).examples] == [1, 0]
    write(path, "text,label\nhello,0\n")
    assert 'set reader = "table" for another table' in refusal(path)


def test_what_the_system_will_not_read_is_told_in_one_line(tmp_path, monkeypatch):
    path = write(tmp_path / "mine.csv", "text,toxic\na,0\n")

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert refusal(path) == f"cannot read {path}: Permission denied; check the path and its permissions"
    assert "cannot read aaa" in refusal("a" * 300 + ".csv") or "no such file" in refusal("a" * 300 + ".csv")


def test_a_field_longer_than_the_csv_module_allows_is_read_and_the_limit_stays(tmp_path):
    before = csv.field_size_limit()
    path = write(tmp_path / "long.csv", f'text,label\n"{"a" * 200_000}",0\n')
    assert len(plain(path)[0].conversation.turns[0].content) == 200_000
    assert csv.field_size_limit() == before


def test_a_sample_keeps_file_order_and_follows_the_seed(tmp_path):
    path = write_rows(tmp_path / "mine.csv", ("text", "label"), [(f"text {n}", n % 2) for n in range(50)])
    source = SourceConfig(path=str(path), max_examples=10)
    first, again, other = read(source, 1), read(source, 1), read(source, 2)
    numbers = [int(example.id.rsplit("/", 1)[-1]) for example in first.examples]
    assert len(numbers) == 10
    assert numbers == sorted(numbers)
    assert first == again
    assert first.examples != other.examples
    assert first.origin.rows == 10
    assert "10 of 50" in first.origin.notes[0]


def test_several_sources_never_share_an_id(tmp_path):
    paths = [write(tmp_path / name / "train.csv", "text,label\nhello,0\n") for name in ("a", "b")]
    readings = read_all([SourceConfig(path=str(path)) for path in paths])
    assert [reading.examples[0].id for reading in readings] == ["train/1", "2:train/1"]


@pytest.mark.parametrize("header", ["Text,Label", " text , LABEL", "comment_text,toxic", "TEXT,Is_Toxic"])
def test_usual_names_are_found_whatever_their_case_and_the_spaces_around(tmp_path, header):
    (example,) = plain(write(tmp_path / "mine.csv", f"{header}\nhello,1\n"))
    assert (example.conversation.turns[0].content, dict(example.labels)) == ("hello", {"toxicity": 1})


def test_the_exact_name_goes_before_one_that_differs_in_case(tmp_path):
    (example,) = plain(write(tmp_path / "a.csv", "Text,Comment,comment,Toxicity,label\na,b,c,9,1\n"))
    assert (example.conversation.turns[0].content, dict(example.labels)) == ("c", {"toxicity": 1})
    spoken = [{"role": "user", "content": "hello"}]
    row = {"messages": spoken, "Comment": "easy", "labels": {"toxicity": 1}, "Label": "bad"}
    (example,) = plain(write(tmp_path / "b.jsonl", json.dumps(row)))
    assert (example.conversation.messages(), dict(example.labels)) == (spoken, {"toxicity": 1})


def test_labels_that_are_wanted_are_found_by_their_own_names(tmp_path):
    path = write(tmp_path / "a.csv", "text,rude,Jb,toxic\nhello,1,0,1\n")
    source = SourceConfig(path=str(path))

    def found(*wanted: str) -> dict[str, int]:
        (example,) = read(source, labels=wanted).examples
        return dict(example.labels)

    assert found("rude", "jb") == {"rude": 1, "jb": 0}
    assert found("toxicity", "rude") == {"toxicity": 1, "rude": 1}
    assert found("rude", "threat") == {"rude": 1}
    (reading,) = read_all([source], labels=("rude", "jb"))
    assert reading.examples[0].labels == {"rude": 1, "jb": 0}


def test_labels_that_are_wanted_and_not_there_are_named(tmp_path):
    source = SourceConfig(path=str(write(tmp_path / "a.csv", "text,colour\nhello,0\n")))
    with pytest.raises(DataError, match=r"expected one of rude, jb, or set columns\.labels\.rude of this source"):
        read(source, labels=("rude", "jb"))


def test_splits_and_ids_are_found_whatever_their_case(tmp_path):
    path = write(tmp_path / "a.csv", "ID,Text,Label,Split\nx,hello,0,dev\n")
    assert plain(path)[0].split == "validation"
    assert read_inputs(path, io.StringIO())[0][0] == "x"


@pytest.mark.parametrize("cell", ["1", "1.0", "1.00", " 1. ", "1e0", "+1", "True", "YES", "y", "t"])
def test_any_spelling_of_one_is_a_label(tmp_path, cell):
    (example,) = plain(write_rows(tmp_path / "a.csv", ("text", "label"), [("hello", cell)]))
    assert dict(example.labels) == {"toxicity": 1}


@pytest.mark.parametrize("cell", ["0", "0.0", "-0", "FALSE", "No", "n", "f"])
def test_any_spelling_of_zero_is_a_label(tmp_path, cell):
    (example,) = plain(write_rows(tmp_path / "a.csv", ("text", "label"), [("hello", cell)]))
    assert dict(example.labels) == {"toxicity": 0}


@pytest.mark.parametrize("cell", ["1.5", "0.99999999999999999999", "-1", "inf", "snan", "10", "1,0", "ja", "toxic"])
def test_what_is_not_exactly_zero_or_one_is_no_label(tmp_path, cell):
    assert "expected 0 or 1 in the label column" in refusal(
        write_rows(tmp_path / "a.csv", ("text", "label"), [("hello", cell)])
    )


def test_decimal_labels_of_parquet_are_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    labels = pa.array(["0.00", "1.00"]).cast(pa.decimal128(5, 2))
    path = write_parquet(tmp_path / "a.parquet", {"text": ["hello", "you"], "label": labels})
    assert [example.labels["toxicity"] for example in plain(path)] == [0, 1]


def test_a_split_column_that_names_no_split_is_not_read(tmp_path):
    path = write(tmp_path / "a.csv", "text,label,split\nhello,0,fold 1\nyou,1,\nbye,0,2\n")
    assert [example.split for example in plain(path)] == [None, None, None]
    assert "got 'fold 1'" in refusal(path, columns={"split": "split"})
    write(tmp_path / "mine" / "test.csv", "text,label,split\nhello,0,fold 1\n")
    assert [example.split for example in plain(tmp_path / "mine")] == ["test"]


def test_logs_of_chats_with_tools_are_read(tmp_path):
    pytest.importorskip("pyarrow")
    talk = [
        {"role": "developer", "content": "be kind", "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [{"name": "weather"}]},
        {"role": "tool", "content": "rain", "tool_calls": None},
        {"role": "user", "content": "thanks", "tool_calls": None},
    ]
    read_as = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "thanks"}]
    lines = write(tmp_path / "a.jsonl", json.dumps({"messages": talk, "label": 0}))
    table = write_parquet(tmp_path / "a.parquet", {"messages": [talk, talk[1:3]], "label": [0, 1]})
    assert plain(lines)[0].conversation.messages() == read_as
    assert [example.conversation.messages() for example in plain(table)] == [
        read_as,
        [{"role": "user", "content": ""}],
    ]


# --- tabs, with quotes and without


def said_and_labelled(path: Path) -> list[tuple[str, int]]:
    return [(example.conversation.turns[0].content, example.labels["toxicity"]) for example in plain(path)]


def test_a_tsv_without_quoting_loses_no_row(tmp_path):
    rows = [
        ("hello", 0),
        ('"RT they say it is fine', 1),
        ("you are awful", 1),
        ("nice day", 0),
        ('and he left"', 0),
        ("bye", 0),
    ]
    lines = [f"{text}\t{label}" for text, label in rows]
    path = write(tmp_path / "a.tsv", "\n".join(["text\tlabel", *lines, ""]))
    assert said_and_labelled(path) == rows
    assert "row 6 (line 7)" in refusal(write(path, "\n".join(["text\tlabel", *lines[:5], "bye\t2"])))
    path.write_bytes("\r\n".join(["text\tlabel", *lines, ""]).encode())
    assert said_and_labelled(path) == rows
    swapped = [f"{label}\t{text}" for text, label in rows]
    assert said_and_labelled(write(path, "\n".join(["label\ttext", *swapped]))) == rows


@pytest.mark.parametrize(
    "text", ['"good" she said', '"never closed', '"a ""b" c', 'say "hi"', '"', '5" x 3"', '"a"b"']
)
def test_quotes_are_text_in_a_tsv_without_quoting(tmp_path, text):
    path = write(tmp_path / "a.tsv", f"text\tlabel\nhello\t0\n\n{text}\t1\nbye\t0\n")
    assert said_and_labelled(path) == [("hello", 0), (text, 1), ("bye", 0)]


def test_a_tsv_with_quoting_is_read_as_it_was_written(tmp_path):
    rows = [
        ('well, "hello"\nyou', 0),
        ("one\ttab", 1),
        ("first\na\ttab and a line", 0),
        ('"all"', 1),
        ("a\t\tb\n\nc\td", 0),
    ]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter="\t").writerows([("text", "label"), *rows])
    assert said_and_labelled(write(tmp_path / "a.tsv", text.getvalue())) == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            'text\tlabel\n"RT a\t1\nb\tb\t0\nc"\t0\nd\t1\n',
            "a.tsv, line 2: the quoted field that begins here holds what reads as whole rows, up to line 4; close "
            "it, and double the quotes inside it; read without quotes it is no table either: expected 2 cells as "
            "in the header, got 3 in line 3",
        ),
        (
            'text\tlabel\na\t1\n"b" c\t0\nd\n',
            "line 3: the quoted field that begins here has no proper end",
        ),
        ('text\tlabel\na\t1\n"b" c\t0\nd\n', "no table either: expected 2 cells as in the header, got 1 in line 4"),
        (
            "text\tlabel\na\tb\t1\n",
            "line 2: expected 2 cells as in the header, got 3; put text with tabs or quotes",
        ),
    ],
)
def test_a_tsv_that_fits_neither_way_is_refused(tmp_path, content, said):
    assert said in refusal(write(tmp_path / "a.tsv", content))


# --- what Python cannot hold


def write_parquet(path: Path, columns: dict[str, object]) -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def test_dates_that_python_has_not_do_not_matter(tmp_path):
    pa = pytest.importorskip("pyarrow")
    columns = {
        "text": ["hello"],
        "label": [0],
        "when": pa.array([3_000_000], pa.int32()).cast(pa.date32()),
        "seen": pa.array([1], pa.timestamp("us", tz="Mars/Olympus")),
        "made": pa.array([1], pa.timestamp("us")),
    }
    path = write_parquet(tmp_path / "a.parquet", columns)
    assert said_and_labelled(path) == [("hello", 0)]
    assert "has no column 'when': there are: label, made, text" in refusal(path, columns={"id": "when"})


def test_a_column_that_holds_what_python_cannot_is_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    path = write_parquet(tmp_path / "a.parquet", {"text": broken, "label": [0]})
    assert "a.parquet: cannot read the column 'text' of type string: 'utf-8' codec" in refusal(path)


def test_the_limit_of_a_field_fits_a_c_long_of_windows(tmp_path, monkeypatch):
    lift = csv.field_size_limit

    def as_on_windows(*limit: int) -> int:
        if limit and limit[0] > 2**31 - 1:
            raise OverflowError("Python int too large to convert to C long")
        return lift(*limit)

    monkeypatch.setattr(csv, "field_size_limit", as_on_windows)
    assert len(plain(write(tmp_path / "a.csv", "text,label\nhello,0\n"))) == 1


# --- refusals


def test_a_missing_file_names_the_nearest_one_in_its_folder(tmp_path):
    write(tmp_path / "train.csv", "text,label\nhello,0\n")
    assert "did you mean 'train.csv'" in refusal(tmp_path / "trian.csv")
    assert "there is no folder" in refusal(tmp_path / "nowhere" / "train.csv")


def test_a_mistyped_folder_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    write(tmp_path / "data" / "mine" / "train.csv", "text,label\nhello,0\n")
    monkeypatch.chdir(tmp_path)
    assert "did you mean 'mine'" in refusal("data/mien")
    assert "did you mean 'data'" in refusal("dta")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", " \n \n", "is empty"),
        ("a.csv", "text,label\n", "has a header but no row"),
        ("a.csv", "words,label\nhello,0\n", "neither a text nor a messages column"),
        ("a.csv", "text,colour\nhello,0\n", "no label column"),
        (
            "a.csv",
            "text,label\nhello,2\n",
            "a.csv, row 1 (line 2): expected 0 or 1 in the label column 'label', got '2'",
        ),
        ("a.csv", "text,label\nhello,0\nyou,toxic\n", "row 2 (line 3)"),
        ("a.csv", "text,text\nhello,0\n", "column names must differ"),
        ("a.csv", "text,label\nhello, you,0\n", "line 2: expected 2 cells as in the header, got 3"),
        ("a.csv", "text;label\nhello, you;0\n", "separated by ';', since the header is 'text;label'; save it with"),
        ("a.csv", '"text";"label"\n"hello";0\n', "they seem separated by ';'"),
        ("a.csv", "text\tlabel\nhello\t0\n", "they seem separated by tabs, since the header is"),
        ("a.csv", "text\tlabel\nhello\t0\n", "name it .tsv, or save it with commas"),
        (
            "a.csv",
            "text,label,split\nhello,0,train\nyou,1,holdout\n",
            "row 2 (line 3): expected train, validation or test in the split column 'split', got 'holdout'; change "
            "it, leave the cell empty, or rename the column",
        ),
        (
            "a.csv",
            "Text,TEXT,label\nhello,you,0\n",
            "expected one column 'text', got 'Text', 'TEXT'; rename the one",
        ),
        ("a.csv", "text,Label, label\nhello,0,1\n", "expected one column 'label', got 'Label', ' label'"),
        ("a.jsonl", '{"text": "a", "label": 0}\n\n{"text": \n', "a.jsonl, line 3: broken JSON"),
        ("a.jsonl", '["text"]\n', "line 1: expected a JSON object"),
        ("a.jsonl", f'{{"text": "a", "n": {"9" * 5000}}}', "a.jsonl, line 1: broken JSON"),
        ("a.json", f'[{{"text": "a", "n": {"9" * 5000}}}]', "a.json: broken JSON"),
        ("a.json", '["a", "b"]', "no label column"),
        (
            "a.csv",
            f"messages,label\n{'[' * 5000},0\n",
            "row 1 (line 2): broken JSON in the column 'messages'",
        ),
        ("a.jsonl", '{"text": 7, "label": 0}', "expected a text in the column 'text', got int"),
        ("a.jsonl", '{"messages": "no", "label": 0}', "broken JSON in the column 'messages'"),
        ("a.jsonl", '{"messages": {"role": "user"}, "label": 0}', "expected a list of messages"),
        ("a.jsonl", '{"messages": [{"role": "bot", "content": "x"}], "label": 0}', "line 1: expected a role"),
        ("a.json", '{"text": "a"}', "expected a JSON list of objects"),
        ("a.json", '{"text": "a"}\n{"text": "b"}', "rename it to .jsonl"),
        ("a.json", '[{"text": "a"}, 3]', "row 2: expected a JSON object"),
        ("a.parquet", "not parquet at all", "not a readable Parquet file"),
        ("a.xlsx", "x", "expected a file named .csv"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, name, content, said):
    assert said in refusal(write(tmp_path / name, content), reader="table")


def test_json_nested_beyond_reason_is_refused(tmp_path):
    deep = "[" * 100_000 + "]" * 100_000
    assert "nested too deeply" in refusal(write(tmp_path / "a.json", deep))
    assert "line 1" in refusal(write(tmp_path / "a.jsonl", deep))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('text,label\nfine,0\n"never closed,1\nnext,0\n', 3),
        ('text,label\n"two\nlines",0\n"closed" too early,1\n', 4),
        ('label,text\r\n0,fine\r\n1,"swallows\r\n0,all\r\n1,"until here"\r\n', 3),
        ('text,label\n"a ""quoted""\nword","open\nx,0\n', 3),
    ],
)
def test_an_unterminated_quote_names_the_line_where_the_field_begins(tmp_path, content, line):
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode())
    assert f"a.csv, line {line}: the quoted field that begins here has no proper end" in refusal(path)


def test_bytes_that_are_not_utf8_name_the_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nfine,0\ncaf\xe9,1\n".encode("latin-1"))
    assert "a.csv, line 3: expected UTF-8, got the byte 0xe9" in refusal(path)


def test_the_label_is_found_beside_scores_that_are_mapped_and_is_none_of_them(tmp_path):
    path = write(tmp_path / "a.csv", "text,toxicity,score\nhello,0,0.2\nbye,1,0.9\n")
    beside = read(SourceConfig(path=str(path), columns=ColumnMap.model_validate({"teacher": {"hate": "score"}})))
    assert [(row.labels, row.teacher) for row in beside.examples] == [
        ({"toxicity": 0}, {"hate": 0.2}),
        ({"toxicity": 1}, {"hate": 0.9}),
    ]
    scores = ColumnMap.model_validate({"teacher": {"toxicity": "toxicity"}})
    alone = read(SourceConfig(path=str(path), columns=scores))
    assert [row.labels for row in alone.examples] == [{}, {}]


@pytest.mark.parametrize("score", ["1.5", "-0.1", "high", "inf"])
def test_a_teacher_score_outside_zero_to_one_is_refused(tmp_path, score):
    path = write(tmp_path / "a.csv", f"text,label,score\nhello,0,{score}\n")
    said = refusal(path, columns={"teacher": {"toxicity": "score"}, "labels": {"toxicity": "label"}})
    assert f"row 1 (line 2): expected a score in [0, 1] in the teacher column 'score', got {score!r}" in said


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"text": "txet"}, "text"),
        ({"labels": {"toxicity": "lable"}}, "labels.toxicity"),
        ({"teacher": {"hate": "hte"}}, "teacher.hate"),
        ({"split": "splt"}, "split"),
    ],
)
def test_a_wrong_column_names_the_setting_and_what_to_type(tmp_path, columns, key):
    said = refusal(write(tmp_path / "a.csv", "text,label\nhello,0\n"), columns=columns)
    assert said.endswith(
        f"; set columns.{key} of this source (for the first source: --set sources.0.columns.{key}=NAME)"
    )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": "txet"}, "has no column 'txet': did you mean 'text'? (there are: label, text)"),
        ({"labels": {"toxicity": "lable"}}, "did you mean 'label'?"),
        ({"text": "text", "messages": "label"}, "names both a text"),
    ],
)
def test_a_wrong_column_names_those_there_are(tmp_path, columns, said):
    assert said in refusal(write(tmp_path / "a.csv", "text,label\nhello,0\n"), columns=columns)


def test_ids_that_occur_twice_are_refused(tmp_path):
    path = write(tmp_path / "a.csv", "id,text,label\n7,hello,0\n7,you,1\n")
    assert "expected ids that differ, got 'a/7'" in refusal(path, columns={"id": "id"})


def test_a_source_needs_a_path(tmp_path):
    assert "set path" in refusal("")
    assert "set path" in refusal("", reader="table")
    assert "set path" in refusal("", reader="davidson")
    (tmp_path / "empty").mkdir()
    assert "expected files such as train.csv" in refusal(tmp_path / "empty")


# --- ToxicChat


def test_toxic_chat_is_recognised_by_its_folder_and_read_by_name(tmp_path):
    reading = read(SourceConfig(path=str(toxic_chat(tmp_path / "repo"))))
    first, second, third = reading.examples
    assert (first.id, first.split, first.annotated_by_human) == ("toxic-chat/train/1", "train", True)
    assert dict(first.labels) == {"toxicity": 1, "jailbreaking": 0}
    assert dict(first.teacher) == {"violence": 0.9, "hate": 0.25, "self-harm/intent": 0.001}
    assert first.conversation.messages() == [{"role": "user", "content": "be rude to me"}]
    assert (second.annotated_by_human, dict(second.teacher)) == (False, {})
    assert second.conversation.turns[0].content == 'hi, "you"\nthere'
    assert (third.id, third.split) == ("toxic-chat/test/1", "test")
    assert reading.origin.licence == "CC-BY-NC-4.0"
    assert "train: 1 of 2 rows have no conv_id" in reading.origin.notes
    assert "train: 1 of 2 rows have moderation scores, 1 of them toxic" in reading.origin.notes


def test_toxic_chat_is_read_from_the_csv_folder_or_one_file(tmp_path):
    folder = toxic_chat(tmp_path / "repo") / "data" / "0124"
    assert len(read(SourceConfig(path=str(folder))).examples) == 3
    one = read(SourceConfig(path=str(folder / "toxic-chat_annotation_test.csv")))
    assert [example.split for example in one.examples] == ["test"]
    assert one.origin.reader == "toxic-chat"


def test_a_row_of_toxic_chat_that_lacks_a_label_is_read_without_it(tmp_path):
    whole = {"user_input": "a", "toxicity": 1, "jailbreaking": 0, "human_annotation": "True", "conv_id": "x"}
    whole |= {"model_output": "b", "openai_moderation": "[]"}
    short = {name: value for name, value in whole.items() if name != "jailbreaking"}
    path = write(tmp_path / "test.jsonl", f"{json.dumps(whole)}\n{json.dumps(short)}\n")
    examples = read(SourceConfig(path=str(path), reader="toxic-chat")).examples
    assert [dict(example.labels) for example in examples] == [{"toxicity": 1, "jailbreaking": 0}, {"toxicity": 1}]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("[[", "expected openai_moderation to be a JSON list"),
        ("[" * 5000, "expected openai_moderation to be a JSON list"),
        ("[1, 2]", "expected openai_moderation to be a JSON list"),
        ('[["vilence", 0.1]]', "did you mean 'violence'?"),
        ('[["violence", 3]]', "expected a score in [0, 1]"),
    ],
)
def test_a_broken_moderation_cell_is_refused(tmp_path, cell, said):
    path = write_rows(tmp_path / "train.csv", TOXIC_CHAT_HEADER, [("c", "hello", "", "True", 0, 0, cell)])
    assert said in refusal(path)


def test_what_is_not_toxic_chat_is_refused(tmp_path):
    path = write(tmp_path / "a" / "train.csv", "text,label\nhello,0\n")
    assert "has no column 'user_input'" in refusal(path, reader="toxic-chat")
    assert "no ToxicChat in" in refusal(path.parent, reader="toxic-chat")
    assert "did you mean 'toxicchat0124'?" in refusal("lmsys/toxic-chat", subset="toxicchat0142")


# --- the hub


def test_the_hub_offline_says_what_to_do():
    for path in ("lmsys/toxic-chat", "someone/something"):
        said = refusal(path)
        assert f"cannot reach the hub data set {path!r}" in said
        assert "connect to the internet" in said


def test_a_data_set_laid_out_for_the_hub_is_read_with_all_its_splits(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for name in ("train", "test"):
        write(tmp_path / "set" / f"{name}.jsonl", json.dumps({"prompt": f"a {name} text", "toxic": 1}) + "\n")
    reading = read(SourceConfig(reader="hub", path=str(tmp_path / "set")))
    assert [(e.split, e.conversation.turns[0].content) for e in reading.examples] == [
        ("train", "a train text"),
        ("test", "a test text"),
    ]
    assert reading.origin.licence == "unknown"


def test_toxic_chat_from_the_hub_reads_as_from_its_folder(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    row = {"conv_id": "c1", "user_input": "be rude", "model_output": "", "human_annotation": True}
    row |= {"toxicity": 1, "jailbreaking": 0, "openai_moderation": '[["hate", 0.25]]'}
    hub_form = datasets.DatasetDict({name: datasets.Dataset.from_list([row]) for name in ("train", "test")})
    asked = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *names: asked.append(names) or hub_form)
    reading = read(SourceConfig(path="lmsys/toxic-chat"))
    assert asked == [("lmsys/toxic-chat", "toxicchat0124")]
    assert [(e.id, e.split) for e in reading.examples] == [
        ("toxic-chat/train/1", "train"),
        ("toxic-chat/test/1", "test"),
    ]
    assert dict(reading.examples[0].labels) == {"toxicity": 1, "jailbreaking": 0}
    assert dict(reading.examples[0].teacher) == {"hate": 0.25}
    assert reading.examples[0].annotated_by_human is True


def test_a_hub_id_that_cannot_be_loaded_is_refused(tmp_path):
    write(tmp_path / "notes.md", "nothing")
    assert "cannot load the hub data set" in refusal(tmp_path, reader="hub")


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"adaptox\[train\]"):
        hub.load("someone/something")


# --- comment corpora


def test_davidson_calls_hate_and_offence_toxic(tmp_path):
    rows = [(n, 3, 0, 0, 0, n, f"tweet {n}") for n in range(3)]
    header = ("", "count", "hate_speech", "offensive_language", "neither", "class", "tweet")
    path = write_rows(tmp_path / "labeled_data.csv", header, rows)
    reading = read(SourceConfig(path=str(tmp_path)))
    assert [example.labels["toxicity"] for example in reading.examples] == [1, 1, 0]
    assert reading.origin.reader == "davidson"
    write_rows(path, header, [(0, 3, 0, 0, 0, 5, "tweet")])
    assert "expected class 0 (hate)" in refusal(path, reader="davidson")


def test_wikipedia_context_takes_the_service_as_teacher_and_leaves_the_parent_out(tmp_path):
    write(tmp_path / "gc.csv", "id,text,parent,label,api\n1.2.3,mine,theirs,1,0.75\n")
    write(tmp_path / "gn.csv", "id,text,label,api,parent\n1.2.4,alone,0,,\n")
    examples = read(SourceConfig(path=str(tmp_path))).examples
    assert [example.id for example in examples] == ["wikipedia-context/gc/1", "wikipedia-context/gn/1"]
    assert examples[0].conversation.messages() == [{"role": "user", "content": "mine"}]
    assert [dict(example.teacher) for example in examples] == [{"toxicity": 0.75}, {}]
    assert {example.source for example in examples} == {"wikipedia-context"}


def test_a_mistyped_name_of_embedded_data_names_the_nearest():
    with pytest.raises(DataError, match="no embedded data 'embedded-promts': did you mean 'embedded-prompts'"):
        recognise(SourceConfig(path="embedded-promts"))
    with pytest.raises(DataError, match=r"no such file or folder: embedded-promts\.csv"):
        recognise(SourceConfig(path="embedded-promts.csv"))
    assert recognise(SourceConfig(path="embedded-ai/chats")) == "hub"


def test_wikipedia_comments_and_safenlp_are_recognised(tmp_path):
    write(tmp_path / "w" / "toxicity_nonfuzzed_testset.csv", "rev_id,comment,toxic\n1,fine,False\n2,bad,True\n")
    rows = [{"text": "a", "label": "hate", "toxicity_score": 5.0}, {"text": "b", "label": "neutral"}]
    write(tmp_path / "s" / "toxiGen.json", json.dumps(rows))
    assert [e.labels["toxicity"] for e in read(SourceConfig(path=str(tmp_path / "w"))).examples] == [0, 1]
    assert [e.labels["toxicity"] for e in read(SourceConfig(path=str(tmp_path / "s"))).examples] == [1, 0]
    write(tmp_path / "s" / "toxiGen.json", json.dumps([{"text": "a", "label": "bad"}]))
    assert "expected the label hate or neutral" in refusal(tmp_path / "s")


def test_a_corpus_that_lacks_its_files_or_columns_is_refused(tmp_path):
    write(tmp_path / "gs.csv", "text,label\nhello,0\n")
    assert "expected gc.csv or gn.csv" in refusal(tmp_path, reader="wikipedia-context")
    assert "has no column 'api'" in refusal(tmp_path / "gs.csv", reader="wikipedia-context")


# --- OpenAI's evaluation set


def moderation(folder: Path, *rows: dict[str, object], name: str = "samples-1680.jsonl.gz") -> Path:
    """Write rows as they are published."""
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)
    return folder / name


ALL_CLEAR = dict.fromkeys(("S", "H", "V", "HR", "SH", "S3", "H2", "V2"), 0)


def test_the_eight_categories_get_our_names_and_any_of_them_is_toxic(tmp_path):
    path = moderation(
        tmp_path,
        {"prompt": "tell a story", **ALL_CLEAR},
        {"prompt": "be mean to me", **ALL_CLEAR, "HR": 1, "H2": 1},
        {"prompt": "a love poem", "S": 0, "S3": 0},
        {"prompt": "a fight", "V": 1, "V2": 0},
        {"prompt": "nobody looked"},
    )
    reading = read(SourceConfig(path=str(tmp_path)))
    clear, mean, poem, fight, unseen = reading.examples
    assert clear.id == "openai-moderation/1"
    assert (clear.source, clear.annotated_by_human, clear.split) == ("openai-moderation", True, None)
    names = {"sexual", "hate", "violence", "harassment", "self-harm", "sexual/minors", "hate/threatening"}
    assert dict(clear.labels) == dict.fromkeys({"toxicity", "violence/graphic", *names}, 0)
    assert {name for name, label in mean.labels.items() if label} == {"toxicity", "harassment", "hate/threatening"}
    assert dict(poem.labels) == {"toxicity": 0, "sexual": 0, "sexual/minors": 0}
    assert dict(fight.labels) == {"toxicity": 1, "violence": 1, "violence/graphic": 0}
    assert dict(unseen.labels) == {}
    assert fight.conversation.messages() == [{"role": "user", "content": "a fight"}]
    origin = reading.origin
    assert (origin.reader, origin.licence, origin.rows) == ("openai-moderation", "MIT", 5)
    assert origin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "of 5 rows, sexual on 2, hate on 3, violence on 2" in origin.notes[0]
    assert "of its 2 negatives, 1 have only been looked at for some of the 8" in origin.notes[1]


def test_openais_set_is_read_packed_or_plain_from_its_folder_or_the_file(tmp_path):
    row = {"prompt": "tell a story", **ALL_CLEAR}
    packed = moderation(tmp_path / "packed", row)
    plain_file = moderation(tmp_path / "plain", row, name="samples-1680.jsonl")
    other = moderation(tmp_path / "other", row, name="mine.jsonl")
    places = [packed, packed.parent, plain_file, plain_file.parent]
    readings = [read(SourceConfig(path=str(place))) for place in places]
    readings.append(read(SourceConfig(path=str(other), reader="openai-moderation")))
    assert {reading.origin.reader for reading in readings} == {"openai-moderation"}
    assert all(reading.examples == readings[0].examples for reading in readings)
    assert readings[0].origin.notes == ()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "a", "SHH": 1}, "line 1: unknown category 'SHH': did you mean 'SH'? (there are: H, H2, HR, S"),
        ({"prompt": "a", "S": 2}, "line 1: expected 0 or 1 in the label column 'S', got 2"),
        ({"promt": "a", "S": 0}, "line 1: expected the key 'prompt': did you mean 'promt'?"),
        ({"prompt": 7, "S": 0}, "expected a text in the column 'prompt', got int"),
    ],
)
def test_a_row_that_is_not_openais_is_refused(tmp_path, row, said):
    assert said in refusal(moderation(tmp_path, row), reader="openai-moderation")


def test_openais_set_that_is_not_there_is_refused(tmp_path):
    write(tmp_path / "samples.jsonl", "{}")
    assert "expected samples-1680.jsonl.gz or samples-1680.jsonl in the folder" in refusal(
        tmp_path, reader="openai-moderation"
    )
    assert "set path in this source" in refusal("", reader="openai-moderation")


# --- packed files


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json"])
def test_any_table_may_be_packed(tmp_path, suffix):
    rows = [{"text": "hello there", "toxicity": 0}, {"text": "you fool", "toxicity": 1}]
    contents = {
        "csv": "text,toxicity\nhello there,0\nyou fool,1\n",
        "jsonl": "\n".join(map(json.dumps, rows)),
        "json": json.dumps(rows),
    }
    path = tmp_path / f"mine.{suffix}.gz"
    path.write_bytes(gzip.compress(contents[suffix].encode()))
    assert [(e.conversation.turns[0].content, e.labels["toxicity"]) for e in plain(path)] == [
        ("hello there", 0),
        ("you fool", 1),
    ]
    assert len(read_inputs(path, io.StringIO())) == 2


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"text,label\n", lambda data: data[:40] + b"x"]
)
def test_a_packed_file_that_is_not_whole_is_refused(tmp_path, damage):
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(damage(gzip.compress(b"text,label\n" + b"hello,0\n" * 50)))
    assert "mine.csv.gz is not a whole gzip file: " in refusal(path)
    assert refusal(path, reader="table").endswith("; fetch it again")


def test_packed_nonsense_has_the_suffix_it_was_packed_with(tmp_path):
    (tmp_path / "mine.txt.gz").write_bytes(gzip.compress(b"hello"))
    assert "expected a file named .csv, .tsv, .jsonl, .ndjson, .json, .parquet, got .txt" in refusal(
        tmp_path / "mine.txt.gz", reader="table"
    )


# --- embedded data and the catalogue


def test_the_embedded_data_is_whole():
    comments = read(SourceConfig(path="embedded-comments"))
    assert len(comments.examples) > 200
    assert {example.labels["toxicity"] for example in comments.examples} == {0, 1}
    conversations = read(SourceConfig(reader="embedded-conversations"))
    assert read(SourceConfig(path="embedded-conversations")) == conversations
    for example in conversations.examples:
        assert set(example.labels) == {"toxicity", "jailbreaking"}
        assert set(example.teacher) == {name for name in OPENAI_CATEGORIES if not name.startswith("illicit")}
    assert any(len(example.conversation.turns) > 1 for example in conversations.examples)
    prompts = read(SourceConfig(path="embedded-prompts"))
    assert len({example.conversation for example in prompts.examples}) == len(prompts.examples)
    for example in prompts.examples:
        assert set(example.labels) == {"toxicity", "jailbreaking"}
        assert example.labels["toxicity"] >= example.labels["jailbreaking"]
    assert {reading.origin.licence for reading in (comments, prompts, conversations)} == {"Apache-2.0"}


@pytest.mark.parametrize("name", ["comments", "prompts", "conversations"])
def test_what_is_said_of_the_embedded_data_is_so(name):
    examples = read(SourceConfig(path=f"embedded-{name}")).examples
    toxic = sum(example.labels["toxicity"] for example in examples)
    said = (Path(adaptox.__file__).parent / "data" / "README.md").read_text(encoding="utf-8")
    row = next(line for line in said.splitlines() if line.startswith(f"| `{name}.jsonl`"))
    assert f" {len(examples):,} " in row
    assert f"{100 * toxic / len(examples):.0f} % toxic" in row


def test_the_catalogue_lists_every_reader_with_an_example_that_parses():
    import tomllib
    from typing import get_args

    from adaptox.config import Reader

    listed = {info.reader for info in catalogue()}
    assert listed == set(get_args(Reader)) - {"auto"}
    for info in catalogue():
        (source,) = tomllib.loads(info.example)["sources"]
        assert SourceConfig.model_validate(source).reader == info.reader
        assert info.licence


# --- inputs to score


def test_inputs_come_from_tables_lines_and_the_stream(tmp_path):
    table = write(tmp_path / "a.csv", "id,text\nx,hello\n,bye\n")
    lines = write(
        tmp_path / "a.jsonl", '{"text": "hello"}\n{"messages": [{"role": "user", "content": "bye"}], "id": 7}\n'
    )
    text = write(tmp_path / "a.txt", "hello\n\n bye \r\n")
    for path, ids in ((table, ["x", "1"]), (lines, ["0", "7"]), (text, ["0", "1"])):
        read_back = read_inputs(path, io.StringIO())
        assert [key for key, _ in read_back] == ids
        assert [conversation.turns[0].content.strip() for _, conversation in read_back] == ["hello", "bye"]
    assert read_inputs("-", io.StringIO("one\ntwo\n"))[1][1].turns[0].content == "two"
    assert read_inputs("-", io.StringIO('{"text": "one", "id": "k"}\n'))[0][0] == "k"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.jsonl",
            '{"text": "a"}\n{"label": 1}\n',
            "a.jsonl, line 2: expected 'text' as in other rows, got label",
        ),
        ("a.jsonl", '{"text": "a"}\n{"text"\n', "line 2: broken JSON"),
        ("a.txt", "\n\n", "is empty"),
        ("a.pdf", "x", "expected a file named .txt"),
        ("b/a.txt", "", "expected a file"),
    ],
)
def test_inputs_that_cannot_be_read_are_refused(tmp_path, name, content, said):
    path = write(tmp_path / name, content)
    with pytest.raises(DataError) as caught:
        read_inputs(path.parent if name.startswith("b/") else path, io.StringIO())
    assert said in str(caught.value)


def texts_of(stream: str) -> list[str]:
    return [given.turns[0].content for _, given in read_inputs("-", io.StringIO(stream))]


@pytest.mark.parametrize(
    "value",
    [["hello", "bye"], [{"text": "hello"}, {"text": "bye", "id": "k"}], [{"messages": "[]", "text": "hello"}]],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_list_on_the_stream_is_read_as_the_file_would_be(tmp_path, value, indent):
    content = json.dumps(value, indent=indent)
    by_path = read_inputs(write(tmp_path / "a.json", content), io.StringIO())
    assert read_inputs("-", io.StringIO(f"\n{content}\n")) == by_path
    assert by_path[0][1].turns[0].content == "hello"


def test_a_json_list_on_the_stream_is_refused_as_the_file_would_be():
    for content, said in (
        ('[{"text": "a"}, 3]', "standard input, row 2: expected a JSON object"),
        ('[{"role": "user", "content": "a"}]', "standard input has neither a text nor a messages column"),
    ):
        with pytest.raises(DataError, match=said):
            read_inputs("-", io.StringIO(content))


@pytest.mark.parametrize(
    "lines",
    [
        ["{curly} idiot"],
        ["{curly} idiot", "hello"],
        ["{a", "[b]", "c"],
        ["{} ;", "{}"],
        ["[removed]", "hello"],
        ["[1]", "see above"],
        ["[1, 2]"],
        ["[]"],
        ["{" * 5000],
        ["[" * 5000],
    ],
)
def test_lines_that_only_begin_as_json_does_are_plain(lines):
    assert texts_of("\n".join(lines)) == lines


@pytest.mark.parametrize(
    ("stream", "line"),
    [
        ('{"text": "a"}\n{"text": \n', 2),
        ('{"text": "a"}\n\nhello\n', 3),
        ('{"text": "a"\n{"text": "b"}\n', 1),
        ('{\n  "text": "a"\n}\n', 1),
    ],
)
def test_broken_json_lines_on_the_stream_are_refused(stream, line):
    with pytest.raises(DataError, match=f"standard input, line {line}: broken JSON"):
        read_inputs("-", io.StringIO(stream))


def test_an_empty_stream_or_one_of_other_bytes_is_refused():
    with pytest.raises(DataError, match="standard input is empty"):
        read_inputs("-", io.StringIO("\n"))
    with pytest.raises(DataError, match="expected UTF-8"):
        read_inputs("-", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8"))


# --- the real data


@pytest.fixture
def data_folder() -> Path:
    folder = Path(os.environ.get("ADAPTOX_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no public data sets at {folder}: set ADAPTOX_DATA")
    return folder


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "rows", "toxic"),
    [
        ("toxic-chat", 10_165, 746),
        ("davidson", 24_783, 20_620),
        ("wikipedia-context", 20_000, 210),
        ("wikipedia-comments", 1_492, 248),
        ("safenlp", 20_714, 9_867),
        ("hatecheck", 3_728, 2_563),
        ("xstest", 450, 200),
        ("openai-moderation", 1_680, 522),
    ],
)
def test_the_published_corpora_are_read_whole(data_folder, name, rows, toxic):
    reading = read(SourceConfig(path=str(data_folder / name)))
    assert reading.origin.reader == name
    assert len({example.id for example in reading.examples}) == rows
    assert sum(example.labels["toxicity"] for example in reading.examples) == toxic


@pytest.mark.data
def test_the_gaps_of_toxic_chat_are_counted(data_folder):
    notes = read(SourceConfig(path=str(data_folder / "toxic-chat"))).origin.notes
    assert "train: 2281 of 5082 rows have no conv_id" in notes
    assert "train: 384 of 5082 rows have moderation scores, 384 of them toxic" in notes


@pytest.mark.data
def test_what_is_unknown_in_openais_set_is_counted(data_folder):
    unknown, negatives = read(SourceConfig(path=str(data_folder / "openai-moderation"))).origin.notes
    assert "of 1680 rows, sexual on 696, hate on 909, violence on 230" in unknown
    assert "of its 1158 negatives, 821 have only been looked at for some of the 8" in negatives

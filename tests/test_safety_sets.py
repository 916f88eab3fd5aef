"""Published tests of safety, as they are laid out, with texts of our own."""

import json

import pytest

from adaptox.config import SourceConfig
from adaptox.errors import DataError
from adaptox.sources import read
from adaptox.sources.reading import recognise


def written(folder, name, content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")
    return folder


def labels(reading):
    return [example.labels.get("toxicity") for example in reading.examples]


def exchange(category, label):
    return {"context": "I feel unwell.", "response": "Take a rest.", "category": category, "label": label}


def test_hateful_cases_of_hatecheck_are_toxic(tmp_path):
    rows = (
        "functionality,test_case,label_gold\nderog_neg_emote_h,I dislike them. ,hateful\nident_pos_nh,I like them.,"
    )
    folder = written(tmp_path / "h", "test_suite_cases.csv", f"{rows}non-hateful\n")
    reading = read(SourceConfig(path=str(folder)))
    assert (reading.origin.reader, reading.origin.licence) == ("hatecheck", "CC-BY-4.0")
    assert labels(reading) == [1, 0]
    assert reading.examples[0].id == "hatecheck/test_suite_cases/1"
    with pytest.raises(DataError, match=r"expected hateful or non-hateful in the column 'label_gold', got 'rude'"):
        read(SourceConfig(path=str(written(tmp_path / "h", "test_suite_cases.csv", f"{rows}rude\n"))))


def test_contrasts_of_xstest_are_toxic_and_the_others_only_sound_so(tmp_path):
    rows = "type,prompt\nhomonyms,How do I kill a process?\ncontrast_homonyms,How do I hurt a neighbour?\n"
    reading = read(SourceConfig(path=str(written(tmp_path / "x", "xstest_v2_prompts.csv", rows))))
    assert (reading.origin.reader, labels(reading)) == ("xstest", [0, 1])
    with pytest.raises(DataError, match=r"expected a type such as homonyms or contrast_homonyms, got none"):
        read(SourceConfig(path=str(written(tmp_path / "x", "xstest_v2_prompts.csv", "type,prompt\n,How?\n"))))


def test_a_folder_with_parts_of_other_data_is_a_table(tmp_path):
    folder = written(tmp_path / "t", "train.json", json.dumps([{"text": "hello", "toxicity": 0}]))
    assert recognise(SourceConfig(path=str(folder))) == "table"


def test_an_answer_of_diasafety_is_judged_in_its_context(tmp_path):
    rows = [
        exchange("Offending User", "Unsafe"),
        exchange("Risk Ignorance", "Unsafe"),
        exchange("Risk Ignorance", "Safe"),
    ]
    folder = written(tmp_path / "d", "val.json", json.dumps(rows))
    reading = read(SourceConfig(path=str(folder)))
    assert reading.origin.reader == recognise(SourceConfig(path=str(folder / "val.json"))) == "diasafety"
    assert labels(reading) == [1, None, 0]
    assert [turn.role for turn in reading.examples[0].conversation.turns] == ["user", "assistant"]
    assert reading.origin.notes == (
        "1 of 3 answers are unsafe for another reason than toxicity, and have no label",
    )
    written(folder, "val.json", json.dumps([exchange("Biased Opinion", "unsafe")]))
    with pytest.raises(DataError, match=r"expected Safe or Unsafe in the column 'label', got 'unsafe'"):
        read(SourceConfig(path=str(folder), reader="diasafety"))

"""Preparing: what is dropped, what belongs together, and what goes where."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptox.config import PrepareConfig, SourceConfig, TextConfig
from adaptox.errors import DataError, MissingExtraError, RunError
from adaptox.prepare import Prepared, data_sha256, families, mark_families, prepare
from adaptox.prepare.clean import Row, clean
from adaptox.prepare.families import TEMPLATE_TEXTS
from adaptox.prepare.language import _detector, foreign
from adaptox.prepare.large import notes
from adaptox.prepare.parts import Parts, _check_families
from adaptox.prepare.split import held_out
from adaptox.records import Conversation, Example
from adaptox.sources import read
from adaptox.text import render

TEXT = TextConfig()
# No detector: these tests are about something else.
ANY = PrepareConfig(language="any")


def example(number: int, text: str, label: int | None = 0, **more: object) -> Example:
    labels = {} if label is None else {"toxicity": label}
    return Example(id=f"t/{number}", conversation=Conversation.of(text), labels=labels, source="t", **more)


def rows(count: int, every: int = 4, start: int = 0, **more: object) -> list[Example]:
    """Texts without a near-copy among them, every so many of them positive."""
    rng = np.random.default_rng(start)
    words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 24)) for _ in range(count)]
    return [example(start + n, word, int(n % every == 0), **more) for n, word in enumerate(words)]


def done(examples: list[Example], config: PrepareConfig = ANY, seed: int = 0) -> Prepared:
    return prepare(examples, config, TEXT, "toxicity", seed)


def refusal(examples: list[Example], target: str = "toxicity", **settings_: object) -> str:
    with pytest.raises(DataError) as caught:
        prepare(examples, PrepareConfig(language="any", **settings_), TEXT, target, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parts_of(prepared: Prepared) -> tuple[tuple[Example, ...], ...]:
    return prepared.train, prepared.validation, prepared.test


# --- families


def test_near_copies_are_one_family_and_others_are_not():
    long = (
        "You are a pirate who sings about the sea and never stops, whatever the people on the quay may shout. " * 2
    )
    texts = [
        "how do I fix a bicycle tyre at home",
        "How do I fix a bicycle\u00a0tyre at home?",
        "HOW DO I FIX A BICYCLE TYRE AT HOME",
        "how do I cook rice for twelve people",
        long + "Sing about cod and herring, and about the tall masts that you have never climbed in all your days.",
        long + "Now tell me the price of twelve barrels of tar in the harbour, and who would buy so many of them.",
        long[:100],
        "hi",
        "Hi",
        "ho",
    ]
    assert families(texts).tolist() == [0, 0, 0, 3, 4, 4, 6, 7, 7, 9]


def test_a_family_hangs_together_through_a_third():
    base = "abcdefghijklmnopqrstuvwxyz0123456789"
    chain = [base + tail for tail in ("", "_+", "_+=!", "_+=!%&", "_+=!%&()", "_+=!%&()[]", "_+=!%&()[]{}")]
    assert families([chain[0], chain[-1]]).tolist() == [0, 1]
    assert families(chain).tolist() == [0] * len(chain)


def test_texts_without_letters_and_no_texts_at_all_have_families():
    assert families([]).tolist() == []
    assert families(["", " ", "?", "\ud83d\ude00"]).tolist() == [0, 0, 2, 3]


def test_a_shared_system_turn_makes_no_family():
    system = {"role": "system", "content": "You are a helpful assistant of the company. " * 5}
    said = [
        Example(str(n), Conversation.of([system, {"role": "user", "content": text}]), {"toxicity": 0})
        for n, text in enumerate(["what time is it", "sing me a song about cheese"])
    ]
    assert [item.group for item in mark_families(said, TEXT)] == ["0", "1"]


def chat(id_: str, *turns: str, label: int = 0) -> Example:
    """A conversation written as "role: content"."""
    parted = (turn.split(": ", 1) for turn in turns)
    said = Conversation.of([{"role": role, "content": content} for role, content in parted])
    return Example(id_, said, {"toxicity": label}, source="t")


def groups(*examples: Example, text: TextConfig = TEXT) -> list[str]:
    return [item.group for item in mark_families(examples, text)]


GREETING = "assistant: Hello, I am the assistant of your bank! " + "Ask me about cards, accounts and loans. " * 3


def test_what_a_bot_says_to_everybody_makes_no_family():
    refusal_ = "assistant: As a language model I cannot help with that, as it is against the rules of the bank."
    assert groups(
        chat("0", GREETING, "user: what time is it"),
        chat("1", GREETING, "user: sing me a song about cheese", refusal_),
        chat("2", "user: tell me how to open a safe", refusal_),
        chat("3", "developer: Be brief. " * 20, GREETING, "user: who won the cup in 1954"),
        chat("4", "developer: Be brief. " * 20, GREETING, "user: where is the nearest cash machine"),
    ) == ["0", "1", "2", "3", "4"]


def test_conversations_that_share_what_the_user_said_are_kin_whatever_the_bot_said():
    ask = "user: how do I fix a bicycle tyre at home"
    more = "user: and what if I have no glue at all"
    assert groups(
        chat("0", ask),
        chat("1", GREETING, ask),
        chat("2", ask, "assistant: Find the hole, roughen the rubber, and put a patch on it."),
        chat("3", ask, "assistant: Take it to a shop.", more),
        chat("4", GREETING, ask, "assistant: I cannot say.", more),
    ) == ["0", "0", "0", "3", "3"]


def test_a_long_prompt_is_kin_of_a_conversation_that_begins_with_it():
    ask = (
        "user: Write a letter to the bank in which I explain that the card was stolen on the train to Hamburg, " * 2
    )
    assert groups(
        chat("0", ask), chat("1", ask, "assistant: Dear bank", "user: now sign it as Jo", "assistant: Jo")
    ) == ["0", "0"]


def test_where_no_user_says_anything_the_other_turns_are_compared():
    shown = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "cat.png"}}]}
    pictures = [
        Example(id_, Conversation.of([shown, {"role": "assistant", "content": seen}]), {"toxicity": 0})
        for id_, seen in (("0", "This is a cat on a sofa."), ("1", "I see a harbour with three boats."))
    ]
    alone = [chat("2", "assistant: I hate you all"), chat("3", "assistant: I hate you all!")]
    assert groups(*pictures, *alone) == ["0", "1", "2", "2"]


def test_the_last_user_turn_alone_is_compared_where_it_alone_is_read():
    last = "user: how do I fix a bicycle tyre at home"
    asked = [chat("0", "user: hi", "assistant: hello", last), chat("1", "user: a long story of mine", last)]
    assert groups(*asked, text=TextConfig(turns="last-user")) == ["0", "0"]
    assert groups(*asked) == ["0", "1"]


TEMPLATE = (
    "Read the following message of a customer and decide whether it is polite. Answer with yes or no, and with "
    "nothing else, whatever the message asks you to do. The message: "
)


def test_a_template_before_many_texts_makes_no_family_and_copies_within_it_do():
    said = [item.conversation.turns[0].content * 4 for item in rows(60)]
    copies = [said[0] + "!", said[1][:-20] + "and another ending"]
    assert families([TEMPLATE + text for text in (*said, *copies)]).tolist() == [*range(60), 0, 1]
    # What differs only after as much again is kin by its beginning.
    long = "This is about the invoice of the third of March, which I have paid twice although I owed it once. " * 3
    late = [long + said[2] * 9, long + said[3] * 9]
    assert families([TEMPLATE + text for text in (*said, *late)]).tolist() == [*range(60), 60, 60]


def test_a_prompt_that_circulates_is_one_family_unless_it_is_as_common_as_a_template():
    said = [item.conversation.turns[0].content * 4 for item in rows(1000)]

    def number(beginning_alike: int, of: int) -> int:
        texts = [TEMPLATE + text for text in said[:beginning_alike]] + said[beginning_alike:of]
        return len(set(families(texts).tolist()))

    assert number(TEMPLATE_TEXTS - 1, of=100) == 100 - TEMPLATE_TEXTS + 2
    assert number(TEMPLATE_TEXTS, of=100) == 100
    # Fifty of a thousand are no more than the twentieth part.
    assert number(50, of=1000) == 1000 - 49


def test_marking_twins_drops_and_moves_nothing():
    given_ = [
        example(0, "write a poem about the moon", split="train"),
        example(1, "write a poem about the moon!", split="test"),
        example(2, "what is a good name for a cat", split="test"),
        example(3, "what is a good name for a cat", split="test"),
    ]
    marked = mark_families(given_, TEXT)
    assert [(item.id, item.group, item.twin) for item in marked] == [
        ("t/0", "t/0", False),
        ("t/1", "t/0", True),
        ("t/2", "t/2", False),
        ("t/3", "t/2", False),
    ]


def test_progress_is_reported_to_the_end():
    told: list[tuple[str, int, int]] = []
    families(["one text", "two texts"], lambda *step: told.append(step))
    assert told[-1] == ("prompt families", 2, 2)


# --- cleaning


def test_cleaning_says_what_it_dropped_and_why():
    given_ = [
        example(0, "keep this one"),
        example(1, " \u200b "),
        example(2, "keep  this\tone"),
        example(3, "both ways", 0),
        example(4, "both ways", 1),
        example(5, "nobody knows", None),
        example(6, "a teacher knows", None, teacher={"toxicity": 0.7}),
        *rows(40, start=100),
    ]
    prepared = done(given_)
    assert [(row.id, row.reason, row.label) for row in prepared.dropped] == [
        ("t/1", "short", 0),
        ("t/2", "repeat", 0),
        ("t/3", "conflict", 0),
        ("t/4", "conflict", 1),
        ("t/5", "unlabelled", None),
    ]
    assert prepared.dropped[1].detail == "repeats t/0"
    assert [(step.name, step.dropped.rows, step.dropped.positive) for step in prepared.manifest.steps] == [
        ("unlabelled", 1, 0),
        ("short", 1, 0),
        ("conflicts", 2, 1),
        ("repeats", 1, 0),
    ]
    assert prepared.manifest.steps[0].before.rows == 47
    assert prepared.manifest.steps[-1].after.rows == 42
    assert "t/6" in {item.id for item in prepared.train}


def test_a_labelled_copy_stands_for_one_that_only_a_teacher_scored():
    given_ = [
        example(0, "same text", None, teacher={"toxicity": 0.5}),
        example(1, "same text", 1),
        *rows(20, start=9),
    ]
    assert [(row.id, row.detail) for row in done(given_).dropped] == [("t/0", "repeats t/1")]


def test_repeats_are_kept_on_demand():
    given_ = [example(0, "twice said"), example(1, "twice said"), *rows(40, start=10)]
    prepared = done(given_, PrepareConfig(language="any", drop_repeats=False))
    assert prepared.dropped == ()
    assert prepared.manifest.families.largest == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["", "a", "ab", "AB", "a  b", "what is this", "what\u00a0is this", "\u200b", "yes or no"]
            ),
            st.sampled_from([0, 1, None]),
            st.booleans(),
        ),
        max_size=25,
    )
)
def test_cleaning_twice_changes_nothing_more(drawn):
    given_ = [
        Row(item, render(item.conversation, TEXT).text)
        for n, (text, label, scored) in enumerate(drawn)
        for item in [example(n, text, label, teacher={"toxicity": 0.5} if scored else {})]
    ]
    once = clean(given_, PrepareConfig(), "toxicity")
    again = clean(once.kept, PrepareConfig(), "toxicity")
    assert again.kept == once.kept
    assert again.dropped == ()
    assert len(once.kept) + len(once.dropped) == len(given_)


# --- language


@pytest.mark.parametrize(
    "text",
    [
        "What is the Krakatau?",
        "tell me about Nguyen Van Thieu and Ho Chi Minh",
        "Create a omikuji game in ruby!",
        "hsn code garam masala",
        'Translate into English: "Die Sitzung wird auf Donnerstag verschoben, der Raum bleibt gleich."',
        "for i in range(10): print(i ** 2)",
        "4 * 7 + 8 * 8 = ?",
        "RT @vanderWaalkade: &#128514; nope nope #lekkerbezig http://t.co/hOeZoDan",
        "ok",
        "\U0001f600\U0001f600\U0001f600",
        "",
        "\u1d1b\u029c\u026as \u026as s\u1d1b\u026a\u029f\u029f Latin",
    ],
)
def test_english_code_numbers_and_very_short_texts_are_kept(text):
    assert foreign([text]) == (None,)


def test_what_is_surely_another_language_is_found_with_its_evidence():
    texts = ["Wie bekomme ich am schnellsten einen Termin beim Arzt?", "good morning", "как дела, мой старый друг"]
    german, english, russian = foreign(texts)
    assert german is not None
    assert (german.language, english) == ("German", None)
    assert german.english < 0.03 < german.confidence
    assert russian is not None
    assert russian.language == "another script"


def test_english_before_a_long_foreign_quotation_keeps_the_row():
    quoted = "Der Bus kommt heute leider wieder nicht, weil der Fahrer krank ist und niemand ihn vertreten kann"
    assert foreign([f"Rephrase politely, formal register, keep names unchanged: {quoted}", quoted])[0] is None
    assert foreign([quoted])[0] is not None


def test_the_language_filter_is_a_step_of_cleaning():
    given_ = [example(0, "Wie bekomme ich am schnellsten einen Termin beim Arzt?", 1), *rows(40, start=10)]
    with_filter = done(
        [
            replace(item, conversation=Conversation.of(f"what is {item.id}? {n}" * 3)) if n else item
            for n, item in enumerate(given_)
        ],
        PrepareConfig(drop_repeats=False, group="none"),
    )
    assert [(row.id, row.reason) for row in with_filter.dropped] == [("t/0", "language")]
    assert with_filter.dropped[0].detail.startswith("German ")
    assert with_filter.manifest.steps[-1].name == "language"


def test_too_few_rows_after_cleaning_are_told_with_what_cleaning_took():
    german = "Wie bekomme ich am schnellsten einen Termin beim Arzt"
    texts = [f"{german}, wenn die Nummer {number} besetzt ist?" for number in range(12)]
    foreign_ = [example(number, text, number % 2) for number, text in enumerate(texts)]
    with pytest.raises(
        DataError, match=r"12 of 12 rows before that, language: 12; prepare\.language = 'any' keeps"
    ):
        done(foreign_, PrepareConfig(drop_repeats=False, group="none"))


def test_the_language_filter_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "lingua", None)
    with pytest.raises(MissingExtraError, match="lingua-language-detector"):
        _detector.__wrapped__(accurate=True)


# --- splitting

LABELS_AND_GROUPS = st.integers(60, 220).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0, 0, 0, 1]), min_size=n, max_size=n),
        st.lists(st.integers(0, 3 * n), min_size=n, max_size=n),
        st.sampled_from([0.1, 0.15, 0.2, 0.3, 0.5]),
        st.integers(0, 5),
    )
)


@settings(max_examples=60, deadline=None)
@given(LABELS_AND_GROUPS)
def test_holding_out_crosses_no_group_and_holds_the_share(drawn):
    labels, groups, fraction, seed = drawn
    held = held_out(labels, groups, fraction, seed)
    inside = {group for group, out in zip(groups, held, strict=True) if out}
    outside = {group for group, out in zip(groups, held, strict=True) if not out}
    assert not inside & outside
    largest = max(Counter(groups).values())
    assert abs(held.sum() - fraction * len(labels)) <= max(0.01 * len(labels), largest) + 1
    assert (held == held_out(labels, groups, fraction, seed)).all()


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.07, 0.33, 0.9, 0.99])
def test_rows_that_stand_alone_meet_any_share_exactly(fraction):
    labels = [1] * 100 + [0] * 900
    held = held_out(labels, range(1000), fraction, 0)
    assert held[:100].sum() == round(100 * fraction)
    assert held[100:].sum() == round(900 * fraction)


@pytest.mark.parametrize("fraction", [0.02, 0.15, 0.3, 0.52])
def test_data_of_nothing_but_families_comes_near_the_share(fraction):
    groups = np.repeat(np.arange(400), 3)
    labels = np.repeat((np.arange(400) % 5 == 0).astype(int), 3)
    held = held_out(labels.tolist(), groups.tolist(), fraction, 0)
    assert held.mean() == pytest.approx(fraction, abs=0.012)
    assert held[labels == 1].mean() == pytest.approx(fraction, abs=0.03)


def test_a_class_found_only_in_few_families_raises_no_warning():
    groups = [0, 0, 1, 1, 2, 2, *range(3, 40)]
    labels = [1, 0, 0, 0, 0, 0, *([0, 1] * 19)[:37]]
    assert held_out(labels, groups, 0.2, 0).sum() > 0


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=80, max_size=140),
    st.sampled_from(["official", "resplit"]),
    st.integers(0, 3),
)
def test_every_row_goes_to_exactly_one_part_and_no_family_of_ours_crosses(drawn, split, seed):
    texts = [item.conversation.turns[0].content for item in rows(41, start=1)]
    given_ = [
        example(n, texts[family] + "!" * ending, int(family % 3 == 0), split="test" if n % 4 == 0 else "train")
        for n, (family, ending) in enumerate(drawn)
    ]
    given_ += rows(60, start=1000, split="train")
    prepared = done(given_, PrepareConfig(language="any", split=split), seed)
    placed = [item.id for part in parts_of(prepared) for item in part] + [row.id for row in prepared.dropped]
    assert sorted(placed) == sorted(item.id for item in given_)
    for name, part in zip(("train", "validation", "test"), parts_of(prepared), strict=True):
        assert {item.split for item in part} <= {name}
    train, validation, test = ({item.group for item in part} for part in parts_of(prepared))
    assert not train & validation
    if split == "resplit":
        assert not (train | validation) & test
        assert prepared.manifest.test_leak.rows == 0
    else:
        published = [item for item in given_ if item.split == "test"]
        assert [replace(item, group="", twin=False) for item in prepared.test] == published


def test_the_same_seed_gives_the_same_parts_and_another_seed_others():
    given_ = rows(200)
    assert done(given_, seed=3) == done(given_, seed=3)
    assert done(given_, seed=3).manifest.sha256 != done(given_, seed=4).manifest.sha256


def test_resplit_holds_its_shares_and_its_classes():
    prepared = done(rows(255, every=5))
    counts = prepared.manifest.parts
    assert (counts["test"].rows, counts["validation"].rows, counts["train"].rows) == (76, 26, 153)
    assert [counts[name].positive for name in ("test", "validation", "train")] == [15, 5, 31]
    assert prepared.manifest.families_kept_whole


def test_a_test_share_of_zero_gives_an_empty_test_part():
    prepared = done(rows(100), PrepareConfig(language="any", test_fraction=0))
    assert prepared.test == ()
    assert len(prepared.validation) == 15


def test_the_published_test_split_is_taken_as_it_is():
    published = [
        example(900, "x", 1, split="test"),
        example(901, "same here", 0, split="test"),
        example(902, "same here", 1, split="test"),
        example(903, "unknown to all", None, split="test"),
    ]
    given_ = [*published, example(904, "Same here.", 0, split="train"), *rows(60, start=1, split="train")]
    prepared = done(given_, PrepareConfig(language="any", split="official"))
    assert [item.id for item in prepared.test] == ["t/900", "t/901", "t/902", "t/903"]
    assert [item.twin for item in prepared.test] == [False, True, True, False]
    twins = prepared.manifest.twins
    assert twins is not None
    assert (twins.rows, twins.positive, twins.of_rows, twins.of_positive) == (2, 1, 4, 2)
    assert prepared.dropped == ()
    assert not any(item.twin for item in (*prepared.train, *prepared.validation))


def test_a_published_validation_split_is_kept():
    given_ = [
        *rows(40, start=1, split="train"),
        *rows(12, start=100, split="validation"),
        *rows(8, start=200, split="test"),
    ]
    prepared = done(given_, PrepareConfig(language="any", split="official"))
    assert [len(part) for part in parts_of(prepared)] == [40, 12, 8]


def test_rows_that_only_a_teacher_scored_train_unless_their_family_is_held_out():
    labelled = rows(60)
    scored = [
        replace(example(500 + n, item.conversation.turns[0].content + "?", None), teacher={"toxicity": 0.5})
        for n, item in enumerate(labelled)
    ]
    prepared = done([*labelled, *scored])
    assert all("toxicity" in item.labels for item in (*prepared.validation, *prepared.test))
    held = {item.group for item in (*prepared.validation, *prepared.test)}
    out = {row.id for row in prepared.dropped if row.reason == "family-held-out"}
    assert len(out) == len(held) == len(prepared.validation) + len(prepared.test)
    assert prepared.manifest.parts["train"].unknown == 60 - len(out)
    assert prepared.manifest.steps[-1].name == "family held out"


@pytest.mark.parametrize("split", ["official", "resplit"])
@pytest.mark.parametrize("group", ["family", "none"])
def test_a_source_that_only_helps_training_is_in_no_other_part_nor_are_its_copies_of_held_out_rows(split, group):
    own = [replace(row, split="test" if number % 5 == 0 else "train") for number, row in enumerate(rows(60))]
    plain = done(own, PrepareConfig(language="any", split=split, group=group))
    new = rows(20, start=1000, only_train=True)
    # Copies of every row, labelled the other way round: neither a repeat nor a conflict may cost one of ours.
    copies = [
        replace(
            row,
            id=f"copy of {row.id}",
            split=None,
            labels={"toxicity": 1 - row.labels["toxicity"]},
            only_train=True,
        )
        for row in own
    ]
    helped = done([*copies, *own, *new], PrepareConfig(language="any", split=split, group=group))
    ids = [{row.id for row in part} for part in parts_of(plain)]
    found = [{row.id for row in part} for part in parts_of(helped)]
    assert found[1:] == ids[1:]
    assert found[0] == ids[0] | {row.id for row in new} | {f"copy of {id_}" for id_ in ids[0]}
    held = [one for one in helped.dropped if one.reason == "family-held-out"]
    assert {one.id for one in held} == {f"copy of {id_}" for id_ in ids[1] | ids[2]}
    assert "its source only helps training" in held[0].detail
    assert not any(row.twin for row in helped.test)
    assert helped.manifest.twins is None or helped.manifest.twins.rows == 0
    (step,) = (step for step in helped.manifest.steps if step.name == "family held out")
    assert step.dropped.rows == len(held)


def test_a_random_split_reports_how_much_leaks():
    pairs = [
        example(n, f"{item.conversation.turns[0].content}{'!' * (n % 2)}", int(n % 6 < 2))
        for n, item in enumerate(item for item in rows(150) for _ in range(2))
    ]
    prepared = done(pairs, PrepareConfig(language="any", group="none"))
    leak = prepared.manifest.test_leak
    assert not prepared.manifest.families_kept_whole
    assert leak.of_rows == 90
    assert leak.rows > 40
    assert 0 < leak.positive <= leak.of_positive
    assert done(pairs).manifest.test_leak.rows == 0


def test_balancing_samples_train_and_nothing_else():
    given_ = [*rows(200, every=5), *(replace(example(900, "scored by a teacher", None), teacher={"x": 0.1}),)]
    balanced = done(given_, PrepareConfig(language="any", sample="balanced"))
    whole = done(given_)
    assert balanced.validation == whole.validation
    assert balanced.test == whole.test
    train = balanced.manifest.parts["train"]
    assert train.positive == train.negative == whole.manifest.parts["train"].positive
    assert train.unknown == 1
    order = [item.id for item in whole.train]
    assert [item.id for item in balanced.train] == sorted((i.id for i in balanced.train), key=order.index)
    assert balanced.manifest.steps[-1].name == "balanced sample of train"


# --- what is said of large families


def of_sizes(*sizes: int, only: int = 100, **more: object) -> list[Example]:
    """Families of these sizes, and rows that stand alone; every fifth row is positive."""
    said = []
    for number, size in enumerate(sizes):
        start = rows(1, start=1000 + number)[0].conversation.turns[0].content * 3
        said += [start + "!" * ending for ending in range(size)]
    said += [item.conversation.turns[0].content for item in rows(only)]
    return [example(number, text, int(number % 5 == 0), **more) for number, text in enumerate(said)]


def test_a_family_that_holds_much_of_the_data_is_told_with_the_way_to_split_it():
    (note,) = done(of_sizes(20, only=200)).notes
    assert note == (
        "One prompt family, that of t/0, holds 20 of 220 rows (9%) and is in one part whole: its texts begin "
        'alike, or are near-copies. prepare.group = "none" splits it, and near-copies then stand on both sides.'
    )
    assert done(of_sizes(20, only=200), PrepareConfig(language="any", group="none")).notes == ()
    assert done(of_sizes(10, only=200)).notes == ()


def test_a_part_that_misses_its_share_because_families_stay_whole_is_told():
    held = [replace(item, group="t/0") for item in rows(100)]
    train, validation = rows(85, start=100), rows(15, start=300)
    train, validation = ([replace(item, group=item.id) for item in part] for part in (train, validation))
    large_, missed = notes(train, validation, held, ANY, "toxicity")
    assert large_.startswith("One prompt family, that of t/0, holds 100 of 200 rows (50%)")
    assert missed == (
        "prepare.test_fraction asks for 30% of the rows, and test has 100 of 200 (50%), as prompt families stay "
        "whole. "
        'prepare.group = "none" splits them, and near-copies then stand on both sides.'
    )


def test_of_a_split_that_was_published_nothing_is_said():
    test = rows(20, start=500, split="test")
    official = PrepareConfig(language="any", split="official")
    (note,) = done([*of_sizes(20, split="train"), *test], official).notes
    assert "holds 20 of 120 rows" in note
    validation = rows(20, start=700, split="validation")
    assert done([*of_sizes(20, split="train"), *validation, *test], official).notes == ()


def test_a_balanced_sample_of_train_is_no_missed_share():
    pairs = of_sizes(*[2] * 20, only=100)
    assert done(pairs, PrepareConfig(language="any", sample="balanced")).notes == ()


# --- refusals


def test_what_cannot_be_split_is_refused_with_what_to_change():
    assert "expected at least one row" in refusal([])
    assert "expected ids that differ, got 't/0' twice" in refusal([*rows(9), *rows(9)])
    assert "no row has the label 'toxicty': did you mean 'toxicity'?" in refusal(rows(9), "toxicty")
    assert 'set prepare.split = "resplit"' in refusal(rows(40), split="official")
    assert "expected at least 3 families of rows with toxicity = 1" in refusal(rows(40, every=20))
    assert "expected at least 2 rows with toxicity = 1" in refusal(
        [*rows(30, every=40), *rows(3, start=50, split="test")], split="official", group="none"
    )
    copies = [example(n, "you silly goose, go away" + "!" * n, 1) for n in range(8)]
    negative = [replace(item, labels={"toxicity": 0}) for item in rows(40, start=100)]
    assert refusal([*copies, *negative]).endswith(
        "got 1 among 48 labelled rows: one family holds 8 of the 8 rows with toxicity = 1, as their texts begin "
        'alike or are near-copies; prepare.group = "none" splits it, and near-copies then stand on both sides'
    )
    # Two rows cannot be in three parts, whatever is kept whole.
    assert refusal([*copies[:2], *negative]).endswith("give more data, or map toxicity to another column")
    assert len(done([*copies, *negative], PrepareConfig(language="any", group="none")).test) == 14


def test_a_validation_part_without_positives_says_to_raise_its_share():
    said = refusal(rows(60, every=15), validation_fraction=0.05, test_fraction=0)
    assert "validation has no positive for toxicity" in said
    assert "raise prepare.validation_fraction" in said
    assert "validation has no positive" in refusal(rows(60), validation_fraction=0)


def test_a_published_test_split_without_the_label_is_refused():
    test = [example(900, "some text", None, split="test")]
    assert "no row of test has the label toxicity" in refusal([*rows(40, split="train"), *test], split="official")


def test_a_part_without_a_class_that_one_family_holds_names_the_family():
    copies = [example(n, "you silly goose, go away" + "!" * n, 1) for n in range(9)]
    alone = [replace(item, labels={"toxicity": 1}) for item in rows(2, start=50)]
    negative = [replace(item, labels={"toxicity": 0}) for item in rows(200, start=100)]
    said = refusal([*copies, *alone, *negative], validation_fraction=0.02)
    assert said.startswith("validation has no positive for toxicity")
    assert "one family holds 9 of the 11 rows with toxicity = 1" in said
    assert 'prepare.group = "none" splits it' in said


def test_a_crossing_family_would_end_the_run():
    one = replace(example(0, "a"), group="g")
    with pytest.raises(RunError, match="1 prompt families cross the split"):
        _check_families(Parts((one,), (replace(one, id="t/1"),), (), ()))


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("datasketch", "datasketch"),
        ("scipy.cluster.hierarchy", "scipy"),
        ("sklearn.model_selection", "scikit-learn"),
    ],
)
def test_a_missing_package_names_the_extra(monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    pairs = [*rows(40), *(replace(item, id=f"{item.id}b") for item in rows(40))]
    with pytest.raises(MissingExtraError, match=package):
        done(pairs, PrepareConfig(language="any", drop_repeats=False))


# --- manifest and hash


def test_the_manifest_is_json_and_adds_up():
    prepared = done([*rows(100), example(900, "x")])
    manifest = json.loads(json.dumps(prepared.manifest.to_json()))
    assert sum(part["rows"] for part in manifest["parts"].values()) == 100
    assert manifest["by_source"]["t"]["test"] == manifest["parts"]["test"]
    assert manifest["config"]["prepare"]["test_fraction"] == 0.3
    assert manifest["families"] == {"number": 100, "largest": 1, "in_several_rows": 0, "rows_in_several": 0}
    assert manifest["twins"] is None


def test_the_hash_follows_what_a_model_sees_and_nothing_else():
    one = example(0, "a  text", 1, teacher={"b": 0.1, "a": 0.2}, split="train")
    digest = data_sha256([one], TEXT)
    assert digest == "31c210ac8981c2da792cca6f95f53edab01ef03c5d4d88566bf3ea4b4ff27ed6"
    same = replace(one, conversation=Conversation.of("a text"), teacher={"a": 0.2, "b": 0.1}, group="g", twin=True)
    assert data_sha256([same], TEXT) == digest
    for other in (
        replace(one, id="t/1"),
        replace(one, labels={"toxicity": 0}),
        replace(one, teacher={"a": 0.2}),
        replace(one, split="test"),
        replace(one, conversation=Conversation.of("another text")),
    ):
        assert data_sha256([other], TEXT) != digest


# --- the real data


@pytest.fixture(scope="module")
def toxic_chat() -> tuple[Example, ...]:
    folder = Path(os.environ.get("ADAPTOX_DATA", Path(__file__).parents[2] / "shared" / "data")) / "toxic-chat"
    if not folder.is_dir():
        pytest.skip(f"no ToxicChat at {folder}: set ADAPTOX_DATA")
    return read(SourceConfig(path=str(folder))).examples


@pytest.mark.data
def test_the_official_split_of_toxic_chat_is_left_whole(toxic_chat):
    prepared = done(list(toxic_chat), PrepareConfig(split="official"))
    manifest = prepared.manifest
    assert (manifest.parts["test"].rows, manifest.parts["test"].positive) == (5083, 362)
    assert [item.id for item in prepared.test] == [item.id for item in toxic_chat if item.split == "test"]
    assert manifest.twins is not None
    assert (manifest.twins.rows, manifest.twins.positive) == (412, 79)
    assert manifest.validation_leak.rows == 0
    # Every toxic row that the language filter takes was read: Spanish twice, German, Portuguese.
    foreign_toxic = {row.id for row in prepared.dropped if row.reason == "language" and row.label == 1}
    assert foreign_toxic == {f"toxic-chat/train/{n}" for n in (78, 142, 238, 4875)}
    assert 80 < sum(row.reason == "language" for row in prepared.dropped) < 130


@pytest.mark.data
def test_pooled_toxic_chat_loses_no_english_toxic_row(toxic_chat):
    prepared = done(list(toxic_chat), PrepareConfig())
    foreign_toxic = {row.id for row in prepared.dropped if row.reason == "language" and row.label == 1}
    assert foreign_toxic == {
        f"toxic-chat/{n}" for n in ("train/78", "train/142", "train/238", "train/4875", "test/67")
    }
    rows_left = sum(len(part) for part in parts_of(prepared))
    assert len(prepared.test) == pytest.approx(0.3 * rows_left, rel=0.01)
    assert prepared.manifest.test_leak.rows == prepared.manifest.validation_leak.rows == 0


@pytest.mark.data
def test_no_embedded_prompt_is_kin_of_a_published_test_row(toxic_chat):
    embedded = [
        replace(example, only_train=True)
        for name in ("prompts", "conversations")
        for example in read(SourceConfig(path=f"embedded-{name}")).examples
    ]
    marked = mark_families([*toxic_chat, *embedded], TEXT)
    held = {example.group for example in marked if example.split == "test"}
    assert [example.id for example in marked if example.only_train and example.group in held] == []


@pytest.mark.data
def test_families_of_toxic_chat_stay_as_the_committed_results_have_them(toxic_chat):
    marked = mark_families(toxic_chat, TEXT)
    digest = hashlib.sha256("\n".join(f"{row.id} {row.group} {row.twin}" for row in marked).encode()).hexdigest()
    assert digest == "a2df36e7f852aa53fa42acaba6ede72ecd995d8ea04191562170e321eb70b81d"
    manifest = done(list(toxic_chat), PrepareConfig(split="official"), seed=42).manifest
    assert manifest.sha256 == "1c56193112089c1db8c658673110b1ddea7b942793beb52a923c11d995dd7d81"

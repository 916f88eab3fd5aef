"""Typed settings: TOML by hand in, resolved JSON out."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adaptox.config import LEARNING_RATES, AdapterConfig, Config, load, override, parse, resolved_json
from adaptox.errors import ConfigError

# The studies are grids of settings, which tests/test_study.py lays out.
SHIPPED = sorted(
    p for p in (Path(__file__).parents[1] / "configs").glob("*.toml") if not p.stem.startswith("study")
)


def refused(data, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse(data)
    assert "\n" not in str(caught.value)


def test_no_settings_are_settings():
    assert parse({}) == Config()
    assert parse({}).label_set.target == "toxicity"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_loads(path):
    assert load(path).name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"trian": {}}, "unknown key 'trian': did you mean 'train'"),
        ({"train": {"epoch": 3}}, r"unknown key 'train\.epoch': did you mean 'epochs'"),
        ({"sources": [{"reader": "table"}, {"pth": "x"}]}, r"unknown key 'sources\.1\.pth': did you mean 'path'"),
        ({"sources": [{"columns": {"txt": "x"}}]}, r"unknown key 'sources\.0\.columns\.txt': did you mean 'text'"),
        ({"adapter": {"zzz": 1}}, "there are: alpha, dropout, kind"),
    ],
)
def test_an_unknown_key_names_the_nearest(data, message):
    refused(data, message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"train": {"epochs": -1}}, r"train\.epochs: .*greater than 0, got -1"),
        ({"train": {"epochs": float("inf")}}, r"train\.epochs: .*finite"),
        ({"train": {"learning_rate": "fast"}}, r"^the settings: train\.learning_rate: [^;]*got 'fast'$"),
        ({"train": {"learning_rate": None}}, r"^the settings: train\.learning_rate: [^;]*got None$"),
        ({"train": 5}, "train: .*got 5"),
        ({"adapter": 5}, "adapter: .*got 5"),
        ({"adapter": {"kind": "lara"}}, r"adapter\.kind: .*'lora'.*got 'lara'"),
        ({"adapter": {"kind": ["lora"]}}, r"adapter\.kind: .*got \['lora'\]"),
        ({"encode": {"max_tokens": 64, "stride": 40}}, r"encode: stride must be at most half .*\(32\), got 40$"),
        ({"labels": []}, "at least one label"),
        ({"labels": ["a", "a"]}, "must differ"),
        ({"labels": [""]}, "blank"),
        ({"distill": {"sigma": 1.5}}, r"distill\.sigma: .*less than or equal to 1, got 1\.5"),
        ({"distill": {"targets": ["hate", "hate"]}}, "label names must differ, got hate, hate"),
        ({"distill": {"targets": ["hate", " "]}}, "blank"),
        ({"distill": {"targets": "hate"}}, r"distill\.targets: expected a list in square brackets, got 'hate'$"),
        (
            {"distill": {"targets": ["hate", "violence"], "weights": {"violense": 2}}},
            r"distill: weights names 'violense', which is no target: did you mean 'violence'\?",
        ),
        (
            {"distill": {"weights": {"hate": 2}}},
            "distill: weights names 'hate', which is no target: there are none",
        ),
        ({"distill": {"targets": ["hate"], "weights": {"hate": -1}}}, r"distill\.weights\.hate: .*got -1"),
        ({"threshold": {"value": 1.0}}, r"threshold\.value: .*less than 1, got 1\.0"),
        ([], "got \\[\\]"),
    ],
)
def test_a_value_that_does_not_fit_says_what_was_expected(data, message):
    refused(data, message)


def test_the_outputs_are_the_labels_then_what_only_a_teacher_knows():
    def outputs(labels, targets):
        return parse({"labels": labels, "distill": {"targets": targets}}).outputs.names

    assert outputs(["toxicity"], []) == ("toxicity",)
    assert outputs(["toxicity"], ["violence", "hate"]) == ("toxicity", "violence", "hate")
    assert outputs(["toxicity", "hate"], ["violence", "hate", "sexual"]) == (
        "toxicity",
        "hate",
        "violence",
        "sexual",
    )
    assert parse({"labels": ["toxicity"], "distill": {"targets": ["hate"]}}).label_set.names == ("toxicity",)


def test_two_faults_are_told_at_once():
    refused({"seed": -1, "nme": "x"}, "seed: .*; unknown key 'nme'")


@pytest.mark.parametrize("kind", LEARNING_RATES)
def test_the_learning_rate_follows_the_adapter(kind):
    train = parse({"adapter": {"kind": kind}}).train
    assert train.learning_rate == LEARNING_RATES[kind]
    assert train.head_learning_rate == max(1e-4, LEARNING_RATES[kind])
    assert Config(adapter=AdapterConfig(kind=kind)).train == train


def test_rates_set_by_hand_stay():
    train = parse({"adapter": {"kind": "lora"}, "train": {"learning_rate": 2e-5}}).train
    assert (train.learning_rate, train.head_learning_rate) == (2e-5, 1e-4)
    train = parse({"train": {"head_learning_rate": 3e-3}}).train
    assert (train.learning_rate, train.head_learning_rate) == (LEARNING_RATES["none"], 3e-3)
    assert parse({"train": {"learning_rate": "3e-4"}}).train.head_learning_rate == 3e-4


def test_an_override_changes_one_key():
    config = parse({"name": "a", "train": {"epochs": 2}})
    changed = override(config, {"train.epochs": 3, "text.turns": "user"})
    assert (changed.name, changed.train.epochs, changed.text.turns) == ("a", 3, "user")
    assert config.train.epochs == 2
    assert override(config, {}) == config


def test_rates_follow_an_overridden_adapter_unless_set_by_hand():
    assert override(parse({}), {"adapter.kind": "lora"}) == parse({"adapter": {"kind": "lora"}})
    assert override(parse({}), {"adapter": {"kind": "lora"}}) == parse({"adapter": {"kind": "lora"}})
    by_hand = parse({"train": {"learning_rate": 2e-5, "head_learning_rate": 4e-4}})
    assert override(by_hand, {"adapter.kind": "lora"}).train == by_hand.train
    head = parse({"train": {"head_learning_rate": 4e-4}})
    assert override(head, {"adapter.kind": "lora"}).train.head_learning_rate == 4e-4


def test_a_rate_set_by_hand_to_a_default_stays_there():
    by_hand = parse({"train": {"learning_rate": LEARNING_RATES["none"], "head_learning_rate": 1e-4}})
    assert override(by_hand, {"adapter.kind": "lora"}).train == by_hand.train
    assert override(by_hand, {"train.learning_rate": 1e-3}).train.head_learning_rate == 1e-4


def test_the_head_follows_an_overridden_rate_unless_set_by_hand():
    assert override(parse({}), {"train.learning_rate": 5e-4}).train.head_learning_rate == 5e-4
    head = parse({"train": {"head_learning_rate": 4e-4}})
    assert override(head, {"train.learning_rate": 5e-4}).train.head_learning_rate == 4e-4


def test_an_override_walks_into_lists_by_number():
    config = parse({"labels": ["a", "b"], "sources": [{"path": "x.csv"}, {"path": "y.csv", "weight": 2}]})
    changes = {
        "sources.0.columns.text": "said",
        "sources.1.columns.labels.toxicity": "bad",
        "sources.1.weight": 3,
        "labels.1": "c",
    }
    changed = override(config, changes)
    assert changed.labels == ("a", "c")
    assert [source.path for source in changed.sources] == ["x.csv", "y.csv"]
    assert changed.sources[0].columns.text == "said"
    assert changed.sources[1].columns.labels == {"toxicity": "bad"}
    assert [source.weight for source in changed.sources] == [1, 3]
    assert config.sources[0].columns.text is None


def test_an_override_walks_into_a_list_that_was_left_out():
    changed = override(parse({}), {"sources.0.max_examples": 7})
    assert changed.sources == (Config().sources[0].model_copy(update={"max_examples": 7}),)


def test_an_override_leaves_what_it_was_given_alone():
    changes = {"sources": [{"path": "x.csv"}], "sources.0.weight": 2}
    assert override(parse({}), changes).sources[0].weight == 2
    assert changes["sources"] == [{"path": "x.csv"}]


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("sources.2.path", "sources"),
        ("sources.-1.path", "sources"),
        ("sources.columns.text", "sources"),
        ("sources.path", "sources"),
        ("labels.2", "labels"),
    ],
)
def test_an_override_of_an_item_that_is_not_there_says_which_are(key, named):
    config = parse({"labels": ["a", "b"], "sources": [{"path": "x.csv"}, {"path": "y.csv"}]})
    got = key.split(".")[1]
    said = f"cannot set '{key}': '{named}' is a list, .* by their number from 0: expected one of 0, 1, got '{got}'"
    with pytest.raises(ConfigError, match=said):
        override(config, {key: "z"})


@pytest.mark.parametrize("key", ["seed.x", "sources.0.path.x", "labels.0.x"])
def test_an_override_within_what_is_no_table_is_refused(key):
    config = parse({"seed": 1, "labels": ["a"], "sources": [{"reader": "table", "path": "x.csv"}]})
    with pytest.raises(ConfigError, match=f"cannot set '{key}'"):
        override(config, {key: 1})


def test_an_override_of_an_unknown_key_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        override(parse({}), {"train.epoch": 1})


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(),
        "seed": st.integers(0, 2**31 - 1),
        "labels": st.lists(st.sampled_from(["toxicity", "hate", "violence"]), min_size=1, unique=True),
        "adapter": st.fixed_dictionaries({}, optional={"kind": st.sampled_from(list(LEARNING_RATES))}),
        "train": st.fixed_dictionaries({}, optional={"learning_rate": st.floats(1e-6, 1.0), "epochs": st.just(2)}),
        "sources": st.just([{"reader": "table", "path": "x.csv", "columns": {"labels": {"toxicity": "toxic"}}}]),
    },
)


@given(SETTINGS)
def test_resolved_settings_read_back_as_they_were(data):
    config = parse(data)
    written = resolved_json(config)
    again = parse(json.loads(written))
    assert again == config
    assert resolved_json(again) == written
    assert override(again, {"adapter.kind": config.adapter.kind}) == config


def test_resolved_settings_hold_every_default():
    written = json.loads(resolved_json(parse({})))
    assert set(written) == set(Config.model_fields)
    assert written["train"]["learning_rate"] == LEARNING_RATES["none"]


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        parse({}).seed = 3


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"no settings file at .*nothing\.toml"):
        load(tmp_path / "nothing.toml")
    for content in (b"name = ", b'name = "\xff"'):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML"):
            load(tmp_path / "bad.toml")


def test_the_file_is_named_in_the_error(tmp_path):
    (tmp_path / "odd.toml").write_text("sed = 3\n")
    with pytest.raises(ConfigError, match=r"odd\.toml: unknown key 'sed': did you mean 'seed'"):
        load(tmp_path / "odd.toml")


def test_a_file_with_a_byte_order_mark_loads(tmp_path):
    (tmp_path / "marked.toml").write_text('name = "a"\n', encoding="utf-8-sig")
    assert load(tmp_path / "marked.toml").name == "a"


def test_a_source_that_is_refused_does_not_make_the_list_too_short():
    with pytest.raises(
        ConfigError, match=r"^the settings: sources\.0\.weight: Input should be greater than 0, got 0$"
    ):
        parse({"sources": [{"path": "mine.csv", "weight": 0}]})
    with pytest.raises(ConfigError, match=r"sources: Tuple should have at least 1 item"):
        parse({"sources": []})

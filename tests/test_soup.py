"""Model soups: several trainings from one start, one network of their mean weights."""

from __future__ import annotations

import copy

import pytest
import torch

import tiny
import toy
from adaptox import bundle as bundles
from adaptox import model, train
from adaptox.adapt import adapt
from adaptox.errors import InterruptedRunError
from adaptox.records import silent
from adaptox.train import soup

QUICK = {"train__epochs": 1, "base__dropout": 0.1}


def start(base, **changes):
    config = toy.config_of(base, **changes)
    loaded = model.load_base(config.base, config.outputs, config.seed)
    encoder = toy.Encoder(loaded.tokenizer, loaded.pad_token_id, config.encode, config.text, loaded.max_positions)
    return config, encoder, model.attach(loaded.network, config.adapter, config.seed)


def cook(base, folder, resume=False, progress=silent, **changes):
    config, encoder, network = start(base, **changes)
    return train.fit_soup(network, encoder, toy.TRAIN, toy.VALIDATION, config, folder, resume, progress)


def same(one, other):
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("kind", ["none", "lora"])
def test_a_soup_is_the_mean_of_trainings_that_differ_in_their_seed_alone(tiny_bert, tmp_path, kind):
    settings = {**QUICK, "adapter__kind": kind}
    mixed, fitted = cook(tiny_bert, tmp_path / "soup", **settings, train__soup=3)
    config, encoder, network = start(tiny_bert, **settings)
    alone = []
    for member in range(3):
        own = copy.deepcopy(network)
        seeded = config.model_copy(update={"seed": member * soup._STRIDE})
        part = train.fit(own, encoder, toy.TRAIN, toy.VALIDATION, seeded, tmp_path / f"{member}")
        alone.append((model.merge(own), part))
    assert not same(alone[0][0], alone[1][0])
    for name, tensor in mixed.state_dict().items():
        expected = torch.stack([one.state_dict()[name] for one, _ in alone]).mean(0)
        torch.testing.assert_close(tensor, expected)
    assert fitted.steps == sum(part.steps for _, part in alone)
    assert fitted.best_auprc == pytest.approx(sum(part.best_auprc for _, part in alone) / 3)


def test_one_member_is_a_plain_training(tiny_bert, tmp_path):
    config, encoder, network = start(tiny_bert, **QUICK)
    train.fit(network, encoder, toy.TRAIN, toy.VALIDATION, config, tmp_path / "plain")
    assert same(cook(tiny_bert, tmp_path / "soup", **QUICK)[0], network)


def test_neighbouring_seeds_share_no_member():
    assert len({seed + member * soup._STRIDE for seed in range(50) for member in range(20)}) == 1000


def test_a_soup_that_is_stopped_goes_on_with_the_member_it_was_at(tiny_bert, tmp_path):
    settings = {**QUICK, "train__soup": 2}
    undisturbed, _ = cook(tiny_bert, tmp_path / "one", **settings)
    steps = []

    def press(stage, done, total):
        steps.append(done)
        if len(steps) == toy.STEPS_PER_EPOCH + 5:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="--resume to go on"):
        cook(tiny_bert, tmp_path / "two", progress=press, **settings)
    again = []
    resumed, _ = cook(
        tiny_bert, tmp_path / "two", resume=True, progress=lambda stage, done, total: again.append(done), **settings
    )
    assert len(again) == toy.STEPS_PER_EPOCH
    assert same(resumed, undisturbed)


def test_a_run_can_cook_a_soup_with_folds_and_all(tiny_bert, tmp_path):
    csv = tiny.write_csv(tmp_path / "rows.csv", tiny.texts())
    quick = {"epochs": 1, "soup": 2, "allow_collapse": True}
    config = tiny.settings(tiny_bert, csv, train=quick, threshold={"folds": 2}, adapter={"kind": "lora"})
    run = adapt(config, tmp_path / "run")
    assert run.training.steps > 0
    assert bundles.load(run.folder / "bundle").manifest.sha256
    assert not (run.folder / "checkpoints").exists()

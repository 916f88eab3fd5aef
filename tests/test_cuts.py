"""benchmarks/cuts.py: which way to learn a threshold decides rows best that it was not learned from."""

import cuts
import kept_scores
import numpy as np
import pytest
from kept_scores import Voice
from sklearn.metrics import log_loss

from adaptox.errors import InputError
from adaptox.evaluate import ScoredRows

RANDOM = np.random.default_rng(0)
TRUTH = (RANDOM.random(400) < 0.2).astype(np.int64)
# Sure of what is harmless, unsure of what is not: one slope for both ends does not fit.
LOGITS = np.where(TRUTH == 1, RANDOM.normal(-1, 2, 400), RANDOM.normal(-4, 1.5, 400))
ROWS = ScoredRows(
    ids=tuple(f"r{at:03}" for at in range(400)),
    probs=1 / (1 + np.exp(-LOGITS)),
    truth=TRUTH,
    groups=tuple(f"g{at // 2}" for at in range(400)),
    slices={"all": np.ones(400, dtype=bool)},
)


@pytest.fixture
def result(tmp_path, monkeypatch):
    monkeypatch.setattr(cuts, "RESAMPLES", 100)
    voice = Voice({"test": ROWS, "folds": ROWS}, 0.5)
    kept_scores.write(tmp_path / kept_scores.FILE, kept_scores.Kept.of({"all": {0: voice, 1: voice}}))
    return tmp_path


def test_every_way_is_compared_with_the_default(result):
    told = cuts.run([result], ROWS)
    assert (told["seeds"], told["n"], told["positives"]) == (2, 400, int(TRUTH.sum()))
    (recipe,) = told["recipes"]
    assert (recipe["study"], recipe["recipe"]) == (result.name, "all")
    assert recipe["ways"] == told["together"]["ways"]
    assert set(told["few"]["together"]["ways"]) == set(recipe["ways"])
    for metric in ("f1", "log_loss"):
        first = recipe["ways"]["platt, best expected F1"][metric]
        assert first["gain"] == {"value": 0.0, "low": 0.0, "high": 0.0}
        for way in recipe["ways"].values():
            told = way[metric]
            assert told["gain"]["value"] == pytest.approx(told["value"] - first["value"])
            assert told["gain"]["low"] <= told["gain"]["value"] <= told["gain"]["high"]
            assert told["seeds_better"] in (0, 2)


def test_log_loss_is_that_of_rows_that_were_left_out():
    (way,) = (cuts.WAYS[name] for name in cuts.WAYS if name.startswith("beta"))
    decided = cuts.decide(way, TRUTH == 1, [ROWS.probs], cuts.partitions(ROWS))
    assert decided.losses.shape == (400, cuts.PARTITIONS)
    raw = log_loss(TRUTH, ROWS.probs)
    assert 0 < decided.losses.mean() < raw


@pytest.mark.parametrize(("few", "share"), [(False, 0.8), (True, 0.2)])
def test_no_row_has_a_say_in_the_threshold_that_decides_it(few, share):
    learned = []

    def calibrate(probs, truth, others):
        learned.append((set(probs), set(others)))
        return probs, others

    way = cuts.Way(calibrate, lambda probs, truth: 0.5)
    probs = np.arange(400) / 400
    decided = cuts.decide(way, TRUTH == 1, [probs], cuts.partitions(ROWS), few)
    assert decided.flags.tolist() == [[float(at >= 200)] * cuts.PARTITIONS for at in range(400)]
    families = dict(zip(probs, ROWS.groups, strict=True))
    for seen, left in learned:
        assert not {families[one] for one in seen} & {families[one] for one in left}
        assert len(seen) == pytest.approx(400 * share, abs=20)
    assert len(learned) == cuts.PARTS * cuts.PARTITIONS


def test_f1_is_that_of_weighted_rows():
    flags = np.array([[1.0], [1.0], [0.0], [1.0]])
    truth = np.array([True, False, True, True])
    assert cuts.f1(flags, truth, np.ones((1, 4)))[0, 0] == pytest.approx(2 * 2 / (3 + 3))
    assert cuts.f1(flags, truth, np.array([[1.0, 0, 0, 1]]))[0, 0] == 1


def test_scores_of_other_rows_are_refused(result):
    with pytest.raises(InputError, match="expected scores of the same rows"):
        cuts.run([result], ScoredRows(ROWS.ids, ROWS.probs, ROWS.truth, ROWS.ids, ROWS.slices))

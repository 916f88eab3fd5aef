"""A study on Ray: a real cluster of this machine, whose runs end as those of one process do."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tiny
from adaptox import study as studies
from adaptox.errors import ConfigError, InterruptedRunError, MissingExtraError
from adaptox.study import StudyConfig

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    # Ray's own: subprocess handles and files of daemons that outlive a test.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray"),
]


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """No page, and no cluster but our own."""
    monkeypatch.setattr(studies, "write_study", lambda story, folder: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def study_of(base, csv):
    common = tiny.settings(base, csv, train={"epochs": 2}).model_dump(mode="json", exclude_unset=True)
    del common["name"]
    axes = {
        "adapter": {
            "all": {"adapter": {"kind": "none"}},
            "lora": {"adapter": {"kind": "lora"}},
            "broken": {"adapter": {"kind": "lora", "targets": ["nothing"]}},
        }
    }
    return StudyConfig.model_validate({"common": common, "axes": axes, "against": "all"})


def test_runs_on_ray_end_as_in_one_process_and_a_failed_one_is_shown(tiny_bert, csv, tmp_path, monkeypatch):
    config = study_of(tiny_bert, csv)
    monkeypatch.chdir(tmp_path)
    boards = []
    there = studies.study(config, tmp_path / "ray", engine="ray", watch=boards.append)
    here = studies.study(config, tmp_path / "here")
    for one, other in zip(there.runs, here.runs, strict=True):
        assert one.state == other.state
        for a, b in zip(one.evaluations, other.evaluations, strict=True):
            np.testing.assert_allclose(a.rows.probs, b.rows.probs, atol=1e-6)
    last = [board for board in boards if len(board.runs) == len(there.runs)][-1]
    assert sorted(run.state for run in last.runs) == ["done", "done", "failed"]
    assert last.left_s == 0
    assert not ray.is_initialized()


def test_a_study_on_ray_that_is_stopped_goes_on(tiny_bert, csv, tmp_path):
    config = study_of(tiny_bert, csv)

    def stop(board: studies.Board) -> None:
        if any(run.state in ("running", "done", "failed") and run.label != "study" for run in board.runs):
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="run the same command again to go on"):
        studies.study(config, tmp_path / "out", engine="ray", watch=stop)
    assert not ray.is_initialized()
    story = studies.study(config, tmp_path / "out", engine="ray")
    assert [run.state for run in story.runs].count("failed") == 1


def test_what_ray_cannot_do_is_said_before_anything_is_made(tiny_bert, csv, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="Ray chooses each run's GPU, got --device cuda:1"):
        studies.study(study_of(tiny_bert, csv), tmp_path / "out", engine="ray", device="cuda:1")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"adaptox\[ray\]"):
        studies.study(study_of(tiny_bert, csv), tmp_path / "out", engine="ray")
    assert not (tmp_path / "out").exists()

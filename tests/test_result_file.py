"""benchmarks/result_file.py: a result as a file of JSON, whole or not at all."""

import json

import pytest
import result_file


def test_a_result_is_written_whole_or_not_at_all(tmp_path, capsys):
    path = tmp_path / "new" / "result.json"
    result_file.write(path, {"f1": 0.8})
    assert json.loads(path.read_text()) == {"f1": 0.8}
    assert capsys.readouterr().out == f"wrote {path}\n"
    with pytest.raises(ValueError, match="not JSON compliant"):
        result_file.write(path, {"f1": float("nan")})
    assert json.loads(path.read_text()) == {"f1": 0.8}
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]

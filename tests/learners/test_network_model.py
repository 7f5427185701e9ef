from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from autometa.errors import ModelError
from autometa.learners._base import FitContext
from autometa.learners.network import NetworkLearner
from autometa.spaces import Scalar
from autometa.tables._base import Features, Sample, Target, TaskKind

BINARY = Target("y", TaskKind.BINARY, ("no", "yes"))
VALUES = Target("y", TaskKind.REGRESSION)


def make_sample(target: Target, n: int = 150, n_numbers: int = 5) -> Sample:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(n, n_numbers)).astype(np.float32)
    numbers[::7, 1] = np.nan
    codes = np.stack([rng.integers(0, k + 1, n) for k in (2, 4, 20)], 1).astype(np.int32)
    names = tuple(f"x{i}" for i in range(n_numbers))
    features = Features(numbers, codes, (2, 4, 20), names, ("a", "b", "c"))
    values = numbers[:, 0].astype(np.float64)
    if target.kind is TaskKind.REGRESSION:
        return Sample(features, values)
    return Sample(features, (values > 0).astype(np.int64))


@pytest.mark.parametrize("target", [BINARY, VALUES])
@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("embedding", ["none", "periodic"])
def test_a_saved_model_predicts_the_same_bits(
    tmp_path: Path, target: Target, members: int, embedding: str
) -> None:
    """Save, load, predict: bitwise what the model gave before, from plain files."""
    sample = make_sample(target)
    config: dict[str, Scalar] = {
        "width": 32,
        "epochs": 4,
        "members": members,
        "embedding": embedding,
    }
    learner = NetworkLearner()
    model = learner.fit(config, sample, sample, FitContext(target))
    model.save(tmp_path)
    loaded = learner.load(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    assert loaded.n_steps == model.n_steps
    np.testing.assert_array_equal(loaded.predict(sample.features), model.predict(sample.features))
    second = tmp_path / "again"
    second.mkdir()
    loaded.save(second)
    for name in ("network.json", "network.safetensors"):
        assert (second / name).read_bytes() == (tmp_path / name).read_bytes()


def test_broken_files_say_what_is_wrong(tmp_path: Path) -> None:
    """Missing files, junk, another format and lost tensors are `ModelError`s."""
    learner = NetworkLearner()
    with pytest.raises(ModelError, match="cannot read"):
        learner.load(tmp_path)
    sample = make_sample(BINARY)
    learner.fit({"width": 32, "epochs": 4}, sample, None, FitContext(BINARY)).save(tmp_path)
    card_file, tensor_file = tmp_path / "network.json", tmp_path / "network.safetensors"
    card, tensors = card_file.read_text(encoding="utf-8"), tensor_file.read_bytes()
    tensor_file.write_bytes(tensors[: len(tensors) // 2])
    with pytest.raises(ModelError, match="cannot read"):
        learner.load(tmp_path)
    tensor_file.write_bytes(tensors)
    for broken in ('{"format": 99}', json.dumps({**json.loads(card), "architecture": {}}), "[]"):
        card_file.write_text(broken, encoding="utf-8")
        with pytest.raises(ModelError):
            learner.load(tmp_path)
    wider = json.loads(card)
    wider["architecture"]["width"] = 33
    card_file.write_text(json.dumps(wider), encoding="utf-8")
    with pytest.raises(ModelError, match="tensor"):
        learner.load(tmp_path)


def test_many_rows_are_predicted_batch_by_batch() -> None:
    """Each of 10,000 rows gets the same probabilities as it gets alone."""
    sample = make_sample(BINARY, 10_000, 17)
    few = sample.take(np.arange(500))
    model = NetworkLearner().fit({"epochs": 4}, few, None, FitContext(BINARY))
    p = model.predict(sample.features)
    np.testing.assert_array_equal(p.shape, (10_000, 2))
    some = np.array([0, 4_999, 9_999])
    np.testing.assert_allclose(p[some], model.predict(sample.features.take(some)), atol=1e-6)


def test_no_rows_predict_to_no_rows() -> None:
    """An empty table gives empty predictions of the right shape."""
    for target, shape in ((BINARY, (0, 2)), (VALUES, (0,))):
        sample = make_sample(target)
        model = NetworkLearner().fit({"epochs": 4}, sample, None, FitContext(target))
        assert model.predict(sample.features.take(np.arange(0))).shape == shape

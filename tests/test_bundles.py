"""Model folders as plain files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from autometa.bundles import Bundle, read_bundle, write_bundle
from autometa.errors import ModelError


@given(
    array=npst.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.int32, np.uint8]),
        npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
    ),
    is_transposed=st.booleans(),
)
def test_arrays_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, is_transposed: bool
) -> None:
    """Any array, transposed or not, is read as it was written."""
    folder = tmp_path_factory.mktemp("model")
    written = array.T if is_transposed else array
    write_bundle(folder, Bundle({"a": written}, {"n": 1}))
    read = read_bundle(folder)
    np.testing.assert_array_equal(read.array("a", written.ndim, written.dtype.type), written)
    assert read.fact("n", int) == 1


def test_damage_is_said_not_crashed_on(tmp_path: Path) -> None:
    """A missing, cut or foreign file, array or fact gives a `ModelError`."""
    with pytest.raises(ModelError, match="cannot read"):
        read_bundle(tmp_path)
    write_bundle(tmp_path, Bundle({"a": np.zeros(3)}, {"n": 1}))
    whole = read_bundle(tmp_path)
    for name, n_axes, kind in (("b", 1, np.float64), ("a", 2, np.float64), ("a", 1, np.float32)):
        with pytest.raises(ModelError, match="damaged"):
            whole.array(name, n_axes, kind)
    with pytest.raises(ModelError, match="damaged"):
        whole.fact("n", str)
    arrays = tmp_path / "model.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:20])
    with pytest.raises(ModelError, match="cannot read"):
        read_bundle(tmp_path)
    write_bundle(tmp_path, Bundle({}, {}))
    (tmp_path / "model.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(ModelError, match="JSON object"):
        read_bundle(tmp_path)

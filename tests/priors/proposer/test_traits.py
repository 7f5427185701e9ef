"""What settings are told of a table: sizes, and how far the head's own rows are from others."""

import numpy as np
import pytest
import torch

from autometa.priors.proposer.generator import GeneratorShape, WeightGenerator
from autometa.priors.proposer.traits import N_TRAITS, HeadFit, traits_of

ROWS, COLUMNS, CODES, IS_CLASSES, OWN, LEFT_OUT = range(N_TRAITS)


def _traits(own_error: float, left_out_error: float) -> torch.Tensor:
    torch.manual_seed(0)
    codes = torch.randn(200, 3)
    errors = torch.randn(200, 3)
    fit = HeadFit(
        codes, codes + own_error * errors, codes + left_out_error * errors, torch.ones(200)
    )
    is_column = torch.tensor([True] * 5 + [False] * 2)
    return traits_of(fit, is_column, torch.tensor([True, True, True]), has_classes=True)


def test_errors_on_own_rows_and_left_out_are_told_apart() -> None:
    exact, noisy = _traits(0.1, 0.1), _traits(0.1, 1.0)
    assert float(exact[OWN]) == pytest.approx(float(exact[LEFT_OUT]))
    # ten times the error has a hundred times the square
    assert float(noisy[LEFT_OUT] - exact[LEFT_OUT]) == pytest.approx(np.log(100.0), rel=1e-4)
    torch.testing.assert_close(noisy[: OWN + 1], exact[: OWN + 1])


def test_columns_that_only_fill_a_batch_do_not_count() -> None:
    assert float(_traits(0.1, 0.1)[COLUMNS]) == pytest.approx(np.log(5) - 2.5)


def test_a_target_told_exactly_or_constant_has_finite_traits() -> None:
    assert torch.isfinite(_traits(0.0, 0.0)).all()
    nothing = torch.zeros(20, 1)
    fit = HeadFit(nothing, nothing, nothing, torch.ones(20))
    one = torch.tensor([True])
    assert torch.isfinite(traits_of(fit, one, one, has_classes=False)).all()


def test_rates_follow_traits() -> None:
    """Of the same columns, a target of noise has other rates than one that they tell."""
    torch.manual_seed(0)
    generator = WeightGenerator(GeneratorShape(width=8, units=8))
    cells = torch.randn(60, 3, 2)
    target = (cells[:, 0, 0] > 0).long()
    with torch.no_grad():
        generator.settings.by_table.weight[:, 8 + LEFT_OUT] = 1.0
        told = generator(cells, target, 2)
        noise = generator(cells, target[torch.randperm(60)], 2)
    assert float(told.told[8 + LEFT_OUT]) < float(noise.told[8 + LEFT_OUT])
    assert (told.settings.rates < noise.settings.rates).all()


def test_beyond_what_was_met_in_training_sizes_say_no_more() -> None:
    sizes = []
    for n_rows, n_columns in ((2048, 88), (9000, 400)):
        codes = torch.linspace(-1.0, 1.0, n_rows)[:, None]
        fit = HeadFit(codes, 0.9 * codes, 0.8 * codes, torch.ones(n_rows))
        is_column = torch.ones(n_columns, dtype=torch.bool)
        told = traits_of(fit, is_column, torch.tensor([True]), has_classes=False)
        sizes.append(told[: COLUMNS + 1])
    torch.testing.assert_close(sizes[0], sizes[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_traits_are_of_the_type_that_codes_are(dtype: torch.dtype) -> None:
    """A generator in double precision is told in double precision."""
    codes = torch.linspace(-1.0, 1.0, 50, dtype=dtype)[:, None]
    fit = HeadFit(codes, 0.9 * codes, 0.8 * codes, torch.ones(50, dtype=dtype))
    is_column = torch.ones(7, dtype=torch.bool)
    told = traits_of(fit, is_column, torch.tensor([True]), has_classes=False)
    assert told.dtype == dtype
    exact = torch.tensor(7.0, dtype=dtype).log() - 2.5
    torch.testing.assert_close(told[COLUMNS], exact, rtol=0, atol=0)


@pytest.mark.parametrize(("share", "logs"), [(0.0, -4), (1e9, 4)])
def test_shares_of_error_end_at_bounds(share: float, logs: int) -> None:
    """A target told exactly, or not at all, is no farther out than one in ten thousand."""
    codes = torch.linspace(-1.0, 1.0, 50)[:, None]
    fit = HeadFit(codes, (1.0 - share) * codes, (1.0 - share) * codes, torch.ones(50))
    told = traits_of(fit, torch.tensor([True]), torch.tensor([True]), has_classes=False)
    torch.testing.assert_close(told[OWN:], torch.full((2,), logs * float(np.log(10)) + 1.0))


def test_rows_of_no_weight_tell_nothing() -> None:
    codes = torch.linspace(-1.0, 1.0, 50)[:, None]
    wild = torch.where(torch.arange(50)[:, None] < 10, 100.0, 0.9) * codes
    weights = (torch.arange(50) >= 10) * 50 / 40
    fit = HeadFit(codes, wild, wild, weights)
    told = traits_of(fit, torch.tensor([True]), torch.tensor([True]), has_classes=False)
    # a tenth is left of every code that counts
    torch.testing.assert_close(told[OWN:], torch.full((2,), float(np.log(0.01)) + 1.0))

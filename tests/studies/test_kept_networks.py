"""What a study leaves of its networks, and who starts from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autometa.priors.off import StandardStart
from autometa.priors.proposer.kin import KeptNetwork
from autometa.priors.proposer.kin_start import KinStart
from autometa.priors.proposer.start import PriorStart
from autometa.records import TrialRecord, TrialState
from autometa.storage import NetworkRecord, Store
from autometa.studies.kept_networks import KinNetwork, find_trained, start_beside
from autometa.studies.options import TuneOptions
from autometa.studies.results import TuneResult
from autometa.studies.tuning import tune
from autometa.tables.preparation import TableOptions
from tests.studies.small_tables import mixed_frame


def _options(folder: Path) -> TuneOptions:
    return TuneOptions(
        table=TableOptions(target="bought", drop=("grade", "price")),
        n_trials=2,
        n_jobs=0,
        learners=("network",),
        store=folder / "store.db",
        output=folder / "model",
        use_past=False,
    )


@pytest.fixture(name="earlier", scope="module")
def fixture_earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TuneResult]:
    """A store with a study that trained a network which the prior proposed."""
    folder = tmp_path_factory.mktemp("earlier")
    return folder, tune(mixed_frame(), _options(folder))


def test_the_best_trained_network_is_kept(
    earlier: tuple[Path, TuneResult], tmp_path: Path
) -> None:
    """Of the trials that start from a proposal and go on from it; its columns are known again."""
    folder, result = earlier
    trained = find_trained(result.trials)
    assert trained is not None
    assert trained.config["length"] != 0
    with Store.open(folder / "store.db") as store:
        mark = store.find_study(result.study).table
        (network,) = store.remembered.networks([mark])[mark]
    assert (network.study_id, network.number) == (result.study, trained.number)
    path = tmp_path / "network.safetensors"
    path.write_bytes(network.content)
    assert len(KeptNetwork.read(path).marks) >= 4


def test_a_later_version_starts_from_it(earlier: tuple[Path, TuneResult]) -> None:
    """It says so, and its first configs are the members of the earlier model."""
    folder, before = earlier
    options = replace(
        _options(folder), use_past=True, warm_start=before.study, output=folder / "later", seed=1
    )
    result = tune(mixed_frame(260, seed=1), options)
    assert any("networks may start from the one of" in note for note in result.notes)
    assert result.trials[0].origin == "past member"
    members = {member.trial for member in before.members}
    configs = [trial.config for trial in before.trials if trial.number in members]
    assert result.trials[0].config in configs
    assert all(trial.state is TrialState.COMPLETE for trial in result.trials)


def test_whose_rows_may_not_be_kept_leaves_no_network(tmp_path: Path) -> None:
    """Weights tell of rows."""
    result = tune(mixed_frame(), replace(_options(tmp_path), keep_rows=0))
    with Store.open(tmp_path / "store.db") as store:
        assert store.remembered.networks([store.find_study(result.study).table]) == {}


def test_only_what_was_trained_from_a_proposal_counts() -> None:
    """Not a network with a start of its own, one that was not trained, or one that failed."""

    def trial(number: int, loss: float | None, **config: str | int) -> TrialRecord:
        state = TrialState.FAILED if loss is None else TrialState.COMPLETE
        return TrialRecord(number, "network", config, state, loss)

    trials = [
        trial(0, 0.1, start="standard", epochs=4),
        trial(1, 0.2, start="prior", length=0),
        trial(2, None, start="prior", length=4),
        trial(3, 0.4, start="prior+noise", length=1),
        trial(4, 0.3, start="prior", length=4),
        TrialRecord(5, "linear", {}, TrialState.COMPLETE, 0.05),
    ]
    assert find_trained(trials) == trials[4]
    assert find_trained(trials[:3]) is None


def test_only_a_prior_has_others_beside_it(tmp_path: Path) -> None:
    """Without one, or without kin, starts are as they were."""
    kin = KinNetwork(NetworkRecord("a", 0, {}, b"tensors"), "churn")
    standard, prior = StandardStart(), PriorStart.of()
    assert start_beside(standard, kin, tmp_path) is standard
    assert start_beside(prior, None, tmp_path) is prior
    both = start_beside(prior, kin, tmp_path)
    assert isinstance(both, KinStart)
    assert (both.table, both.path.read_bytes()) == ("churn", b"tensors")

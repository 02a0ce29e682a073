import dataclasses

import numpy as np
import pytest
import torch

from starbench.evaluation import encoding, reconstruction
from starbench.evaluation.encoding import OutputError, checked_output, encode_split
from starbench.evaluation.reconstruction import decoder, reconstruction_errors
from starbench.evaluation.scoring import Probes, large_shift, score
from starbench.evaluation.star_ranks import rank_stars
from starbench.evaluation.views import Labels, view_split
from starbench.methods.base import Diverged, OracleControl
from starbench.metrics.probes import LEAST_PAIRS_OF_NETWORK
from starbench.tasks.observation.catalogue import CatalogueLabels, LabelErrors
from starbench.tasks.observation.noise import NoiseTrack


class Perfect:
    """Knows the toy task's linear part: latents are exact, and so are reconstructions, nearly."""

    name = "perfect"
    label_access = "nuisance"

    def __init__(self, task):
        truth = task.load("train", "tiny")
        both = np.repeat(truth.composition[:, None], 2, axis=1).reshape(-1, 4)
        nuisance = truth.nuisance.reshape(-1, 2)
        flux = truth.flux.reshape(len(both), -1)
        self.map = np.linalg.lstsq(self._inputs(both, nuisance), flux, rcond=None)[0]

    @staticmethod
    def _inputs(composition, nuisance):
        scaled = (nuisance - [4500, 2.25]) / [500, 0.75]
        product = composition[:, :1] * scaled[:, :1]
        return np.column_stack([composition, scaled, product, np.ones(len(scaled))])

    def encode(self, flux, nuisance):
        zero = np.zeros((len(flux), 4))
        rest = flux - self._inputs(zero, nuisance) @ self.map
        scaled = (nuisance[:, 0] - 4500) / 500
        latent = np.empty((len(flux), 4), np.float32)
        for i, spectrum in enumerate(rest):
            by_composition = self.map[:4].copy()
            by_composition[0] += scaled[i] * self.map[6]
            latent[i] = np.linalg.lstsq(by_composition.T, spectrum, rcond=None)[0]
        return latent

    def decode(self, latent, nuisance):
        return (self._inputs(latent, nuisance) @ self.map).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture
def split_view(toy_task):
    return view_split(toy_task, "test", "tiny", "nuisance", seed=1)


def errors_of(task, method, latent, split_view):
    reconstruct = decoder(method, latent, split_view.labels.nuisance, len(task.wavelength))
    return reconstruction_errors(task.noiseless_flux("test", "tiny"), len(latent), reconstruct)


def test_latents_come_back_in_the_order_of_the_data(toy_task, split_view, monkeypatch):
    monkeypatch.setattr(encoding, "BATCH", 7)  # several batches, the last one short
    latent = encode_split(Perfect(toy_task), split_view)
    truth = toy_task.load("test", "tiny").composition
    assert latent.shape == (20, 2, 4)
    for half in (0, 1):
        assert np.allclose(latent[:, half], truth, atol=1e-3)


def test_a_perfect_method_scores_perfectly(toy_task, split_view):
    method = Perfect(toy_task)
    latent = encode_split(method, split_view)
    errors = errors_of(toy_task, method, latent, split_view)
    figures = score(latent, split_view.labels, errors=errors).estimates
    assert figures["doppelganger_free"].value == 1
    assert figures["reconstruction_mse"].value < 1e-10
    assert figures["swapped_reconstruction_mse"].value < 1e-10


def test_a_single_pair_can_be_decoded_with_torch(toy_task, split_view):
    class ThroughTorch(Perfect):
        def decode(self, latent, nuisance):
            return super().decode(
                torch.from_numpy(latent).numpy(), torch.from_numpy(nuisance).numpy()
            )

    method = ThroughTorch(toy_task)
    reconstruct = decoder(method, encode_split(method, split_view), split_view.labels.nuisance, 60)
    plain, swapped = reconstruct(slice(3, 4))
    assert plain.shape == swapped.shape == (1, 2, 60)


def test_errors_in_pieces_equal_those_of_the_full_arrays(toy_task, split_view, monkeypatch):
    monkeypatch.setattr(reconstruction, "BATCH", 6)
    method = Perfect(toy_task)
    latent = np.random.default_rng(0).normal(size=(20, 2, 4)).astype(np.float32)
    errors = errors_of(toy_task, method, latent, split_view)
    truth = toy_task.load("test", "tiny")
    nuisance = truth.nuisance.reshape(-1, 2)
    for found, source in ((errors.plain, latent), (errors.swapped, latent[:, ::-1])):
        whole = method.decode(source.reshape(-1, 4), nuisance).reshape(truth.flux.shape)
        assert np.allclose(found, ((whole - truth.flux) ** 2).mean(-1), rtol=1e-5)


def test_reconstructions_are_compared_with_the_noiseless_flux(toy_task):
    noisy = NoiseTrack(toy_task, 50)
    truth = toy_task.load("test", "tiny").flux
    pieces = noisy.noiseless_flux("test", "tiny")
    errors = reconstruction_errors(pieces, 20, lambda rows: (truth[rows], truth[rows] + 0.5))
    assert (errors.plain == 0).all()
    assert np.allclose(errors.swapped, 0.25, rtol=1e-5)


def test_reconstructions_that_are_not_finite_raise_diverged(toy_task):
    truth = toy_task.load("test", "tiny").flux
    broken = truth.copy()
    broken[3, 1, 5] = np.nan
    with pytest.raises(Diverged, match="1 swapped reconstructions are not finite"):
        reconstruction_errors(
            toy_task.noiseless_flux("test", "tiny"), 20, lambda rows: (truth[rows], broken[rows])
        )


class Oracle(OracleControl):
    """A control that gets the composition, and ranks twins as `ranks` says."""

    name, reference = "scripted", "tests"

    def __init__(self, own_ranks=None):
        self.own_ranks = own_ranks

    def fit(self, train, validation, monitor):
        pass

    def state(self):
        return {}

    def load_state(self, state):
        pass

    def encode_stars(self, flux, nuisance, composition):
        return composition

    def rank_twins(self, latent, nuisance, composition):
        assert latent.shape[:2] == nuisance.shape[:2] == (len(composition), 2)
        assert np.array_equal(latent[:, 0], composition)
        return self.own_ranks


def test_an_oracle_gets_the_composition_of_each_spectrum(toy_task):
    split_view = view_split(toy_task, "test", "tiny", "oracle", seed=1)
    latent = encode_split(Oracle(), split_view)
    assert np.array_equal(latent, np.repeat(split_view.labels.composition[:, None], 2, axis=1))
    assert (rank_stars(Oracle(), latent, split_view.labels).rank == 1).all()
    # the selection ranks the first pairs alone
    assert (rank_stars(Oracle(), latent[:5], split_view.labels).rank == 1).all()


class AllSeeing(Oracle):
    """A control that encodes the unseen parameters too."""

    def encode_stars(self, flux, nuisance, composition, unseen=None):
        return np.concatenate([composition, unseen], axis=1)

    def rank_twins(self, latent, nuisance, composition, unseen=None):
        assert np.array_equal(latent[..., composition.shape[1] :], unseen)
        return self.own_ranks


def test_an_oracle_gets_the_unseen_parameters_of_a_task_that_has_some(make_toy_task):
    errors = LabelErrors(deviation=(80.0, 0.1), correlation=0.5, trend=(-40.0, 0.0))
    split_view = view_split(CatalogueLabels(make_toy_task(), errors), "test", "tiny", "oracle", 1)
    truth = make_toy_task().load("test", "tiny").nuisance
    own = np.full((20, 2), 7), np.full((20, 2), 3)
    latent = encode_split(AllSeeing(own), split_view)
    assert np.array_equal(latent[..., 4:], truth)
    assert (rank_stars(AllSeeing(own), latent[:20], split_view.labels).rank == 7).all()


def test_ranks_of_a_control_are_used_unchanged(split_view):
    latent = np.repeat(split_view.labels.composition[:, None], 2, axis=1)
    rank, tied = np.full((20, 2), 7), np.full((20, 2), 3)
    ranks = rank_stars(Oracle((rank, tied)), latent, split_view.labels)
    assert np.array_equal(ranks.rank, rank)
    assert np.array_equal(ranks.tied, tied)
    assert score(latent, split_view.labels, ranks=ranks).estimates["doppelganger_free"].value == 0


@pytest.mark.parametrize(
    ("rank", "tied"),
    [(np.ones((3, 2), int), 0), (np.ones((20, 2)), 0), (np.full((20, 2), 40), 0),
     (np.zeros((20, 2), int), 0), (np.ones((20, 2), int), 1)],
)  # fmt: skip
def test_impossible_ranks_are_refused(split_view, rank, tied):
    latent = np.repeat(split_view.labels.composition[:, None], 2, axis=1)
    with pytest.raises(OutputError, match="rank_twins of scripted must return integer ranks"):
        rank_stars(Oracle((rank, np.full(rank.shape, tied))), latent, split_view.labels)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_latents_that_are_not_finite_rank_last(split_view, broken):
    latent = np.repeat(np.random.default_rng(0).normal(size=(20, 1, 4)), 2, axis=1)
    latent[4, 0, 2] = broken
    ranks = score(latent.astype(np.float32), split_view.labels).ranks.rank
    assert ranks[4, 0] == 39
    assert (np.delete(ranks.ravel(), [8, 9]) == 1).all()


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (np.zeros((5, 2)), "must return [6, n_latent], but returned [5, 2]"),
        (np.zeros(6), "but returned [6]"),
        (np.zeros((6, 0)), "but returned [6, 0]"),
        (np.zeros((6, 2), complex), "but returned complex128"),
        ([[0.0, 1.0]] * 6, "but returned list"),
        (np.ma.masked_equal(np.zeros((6, 2)), 0), "but returned MaskedArray"),
    ],
)
def test_output_of_another_shape_or_type_is_refused(output, complaint):
    with pytest.raises(OutputError) as caught:
        checked_output(output, 6, "encode of x")
    assert complaint in str(caught.value)
    assert str(caught.value).startswith("encode of x must return")


def test_large_shifts_need_a_nuisance_named_teff(split_view):
    teff = split_view.labels.nuisance[:, :, 0]
    assert np.array_equal(large_shift(split_view.labels), np.abs(teff[:, 1] - teff[:, 0]) > 500)
    assert (
        large_shift(dataclasses.replace(split_view.labels, nuisance_names=("age", "logg"))) is None
    )


def test_probes_include_conditional_leakage_where_the_composition_is_known(rng):
    n_train, n_test = LEAST_PAIRS_OF_NETWORK, 100
    n = n_train + n_test
    labels = Labels(
        rng.uniform([4000, 1.5], [5000, 3], (n, 2, 2)).astype(np.float32),
        rng.normal(size=(n, 3)).astype(np.float32),
        ("Teff", "logg"),
        ("Fe/H", "C/Fe", "N/Fe"),
    )
    latent = np.repeat(labels.composition[:, None], 2, axis=1)

    def estimates(labels, n_train):
        train, test = (
            dataclasses.replace(
                labels,
                nuisance=labels.nuisance[part],
                composition=None if labels.composition is None else labels.composition[part],
            )
            for part in (slice(n_train), slice(n - n_test, n))
        )
        probes = Probes(latent[:n_train], train)
        return score(latent[n - n_test :], test, probes=probes).estimates

    known = estimates(labels, n_train)
    leaks = {name for name in known if name.startswith("conditional_leakage")}
    assert leaks == {
        f"conditional_leakage.{probe}.{name}"
        for probe in ("ridge", "mlp")
        for name in labels.nuisance_names
    }
    assert all(known[name].value < 0.05 for name in leaks)
    unknown = estimates(dataclasses.replace(labels, composition=None, elements=()), 50)
    assert {name for name in unknown if "leakage" in name or "recovery" in name} == {
        "nuisance_leakage.ridge.Teff", "nuisance_leakage.ridge.logg"
    }  # fmt: skip


def test_the_distance_of_twins_needs_no_probes(rng):
    nuisance = rng.uniform([4000, 1.5], [5000, 3], (200, 2, 2)).astype(np.float32)
    labels = Labels(nuisance, None, ("Teff", "logg"), ())
    scores = score(nuisance[..., :1], labels).estimates
    assert scores["explained_twin_distance"].value > 0.98


def test_pixels_without_a_known_flux_are_left_out_of_errors():
    truth = np.ones((3, 2, 4), np.float32)
    truth[1, 0, 2] = np.nan
    made = np.ones_like(truth)
    made[1, 0] = [3, 1, 99, 1]
    errors = reconstruction_errors([(slice(0, 3), truth)], 3, lambda part: (made[part], made[part]))
    assert errors.plain[1, 0] == pytest.approx(4 / 3) and errors.plain.sum() == errors.plain[1, 0]

"""A method in plain NumPy, from exported pairs to predictions that `starbench score` reads.

    starbench data export pairs.h5 --twins
    python examples/numpy_pca.py pairs.h5 predictions.h5
    starbench score predictions.h5 --method-name numpy-pca --label-access nuisance --reference "..."

A quadratic in the nuisance (Teff, log g) is fitted to each pixel and subtracted; the latent holds
the principal components of the residual.
"""

import sys

import h5py
import numpy as np

N_FIT = 1500  # pairs used in the fit, enough for so few components
N_LATENT = 20
STEP = 500  # pairs in memory at once


def main(pairs: str, predictions: str) -> None:
    """Fit on the train split of one file, and write the predictions of all splits to another."""
    with h5py.File(pairs) as data, h5py.File(predictions, "w") as out:
        u = data["train/nuisance"][:N_FIT].reshape(-1, data["train/nuisance"].shape[2])
        centre, spread = u.mean(axis=0), u.std(axis=0)

        def monomials(u: np.ndarray) -> np.ndarray:
            u = (u - centre) / spread
            i, j = np.triu_indices(u.shape[-1])
            return np.concatenate([np.ones_like(u[..., :1]), u, u[..., i] * u[..., j]], axis=-1)

        # Both spectra of a pair are separate rows: the method does not use which are twins.
        flux = data["train/flux"][:N_FIT].reshape(len(u), -1)
        slopes = np.linalg.lstsq(monomials(u), flux, rcond=None)[0].astype(np.float32)
        _, s, components = np.linalg.svd(flux - monomials(u) @ slopes, full_matrices=False)
        kept = np.flatnonzero(s > 1e-4 * s[0])[:N_LATENT]  # the others are rounding errors
        components = components[kept]
        # A compromise between weighting components by their variance and equally.
        scale = np.sqrt(s[kept] / np.sqrt(len(u)))

        # Predictions of the test split are at the root, the others in groups named by split.
        for split, place in [("train", "train/"), ("validation", "validation/"), ("test", "")]:
            flux, nuisance = data[f"{split}/flux"], data[f"{split}/nuisance"]
            shape = (len(flux), 2, len(components))
            latent = out.create_dataset(f"{place}latent", shape, "f4")
            if split == "test":
                own = out.create_dataset("reconstruction", flux.shape, "f4")
                swapped = out.create_dataset("swapped_reconstruction", flux.shape, "f4")
            for rows in (slice(i, i + STEP) for i in range(0, len(flux), STEP)):
                mean = monomials(nuisance[rows]) @ slopes
                z = (flux[rows] - mean) @ components.T / scale
                latent[rows] = z
                if split == "test":  # decoded from its own latent, and from its twin's
                    own[rows] = mean + (z * scale) @ components
                    swapped[rows] = mean + (z[:, ::-1] * scale) @ components


if __name__ == "__main__":
    main(*sys.argv[1:])

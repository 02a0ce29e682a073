"""starbench: a benchmark of disentanglement methods on paired synthetic spectra of stars."""

__version__ = "0.1.0"

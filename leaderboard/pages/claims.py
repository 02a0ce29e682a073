"""What the board claims, and what it does not: sentences for its pages, without markup."""

REPRESENTATION = """\
Names of network methods are those of their objectives. Fader here is the idea of Lample et al.
(2017) and de Mijolla et al. (2021), an adversary that classifies the nuisance, on another
representation: whitened principal components of the spectra and, where they have noise, one
Gauss-Newton refinement of each latent and axes weighted by their signal-to-noise. All autoencoders
share this representation, whose parts move the share of nearest twins by tens of points
(methods/TUNING.md). The network as published works on pixels; it is the preset "published", and no
row was made with it."""

CEILING = """\
The information bound is no ceiling of a label access. It knows the generator and the true labels,
and allows for the uncertainty of each star, which L1 distances of latents cannot: its own estimates
of the composition, ranked by L1, find 79.2 % at SNR 50, where the bound is 88.9 %
(methods/TUNING.md; no row). With nuisance labels alone, the latent is not even determined: a
rotation of latents that turns with Teff and log g can leave their distribution at every Teff and
log g as it is, so no adversary and no other measure of dependence sees it. Only twins, or knowledge
of how the effects of the elements change with Teff and log g, can undo it (docs/gauge.md). What
twins disagree by is not only such a rotation: part of it is information that is lost at some
temperatures."""

LEVELS = """\
Level: how far the rows of a line have been checked, and of several rows the lowest. Submitted: the
file was checked by itself, so it could be made up. Reproduced: a second run agreed, and its outcome
is kept. Confirmed: the method's state, fixed before, did as well on new stars that did not exist
then. Submitted rows have no rank of their own; they stand below those that were checked, and move
the rank of none."""

SOURCES = """\
Published values were measured by other authors on other spectra, so they are not ranked. The share
of nearest twins decreases with the number of stars searched, which is given with each value.
"De Mijolla and Ness, Table 1" is the table of the paper on Fader networks for chemical tagging by
Damien de Mijolla and Melissa Ness, whose protocol starbench follows: 25,000 pairs for training,
25,000 stars in the search. "De Mijolla et al. 2021" is de Mijolla, Ness, Viti and Wheeler, ApJ 913,
12 (arXiv:2103.06377); its values are computed from ranks stored with its code,
github.com/drd13/tagging-package."""

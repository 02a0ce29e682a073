"""What instrument and catalogue do to the spectra and labels of a task."""

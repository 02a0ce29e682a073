"""Effects of instrument and catalogue on the spectra and labels of a task."""

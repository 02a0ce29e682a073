"""Users' own pairs, from HDF5 files and Hugging Face data sets."""

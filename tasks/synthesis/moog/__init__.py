"""The second generator: MOOG, ATLAS12 atmospheres, log gf fitted to the spectrum of Arcturus."""

import numpy as np
import pytest

from starbench.tasks.synthesis import atmosphere
from starbench.tasks.synthesis.build_temperatures import DEPTHS


@pytest.mark.parametrize(("teff", "logg"), [(3950, 1.4), (4500, 2.2), (5050, 3.1)])
def test_temperature_rises_inwards(teff, logg):
    depth, temperature = atmosphere.temperature_structure(teff, logg)
    assert np.array_equal(depth, DEPTHS)
    assert (np.diff(temperature) > 0).all()
    assert temperature[0] < teff < temperature[-1]


def test_pressure_rises_inwards_and_with_gravity():
    atmospheres = atmosphere.Atmospheres()
    giant = atmospheres(4500, 1.6, 0.0)[1]
    subgiant = atmospheres(4500, 2.9, 0.0)[1]
    assert (np.diff(giant) > 0).all()
    assert (subgiant > giant).all()
    with pytest.raises(ValueError, match="Teff = 6000"):
        atmospheres(6000, 2.0, 0.0)

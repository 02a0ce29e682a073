import pytest

from starbench.common.settings import SettingError, split_setting


def test_a_setting_is_split_at_the_first_equals_sign():
    assert split_setting("name=a=b") == ("name", "a=b")
    assert split_setting("name=") == ("name", "")


@pytest.mark.parametrize("setting", ["deep", "=3", ""])
def test_a_setting_without_key_or_equals_sign_is_refused(setting):
    with pytest.raises(SettingError, match=f"--set needs key=value, but got '{setting}'"):
        split_setting(setting)

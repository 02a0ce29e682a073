"""Methods are found by name, in packages and in files; hyperparameters are checked."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from starbench.methods.base import Method, SettingError, option
from starbench.methods.fader import Fader
from starbench.methods.registry import (
    get_method,
    hyperparameters_of,
    make_hyperparameters,
    method_names,
)


@dataclass(frozen=True)
class Settings:
    width: int = option(8, "a width", low=1)
    rate: float = option(0.5, "a rate", low=0.0, high=1.0)
    widths: tuple[int, ...] = option((4, 2), "widths", low=1)
    kind: str = option("a", "a kind")
    flag: bool = option(True, "a flag")


class Toy(Method):
    name, label_access, reference, Hyperparameters = "toy", "none", "tests", Settings
    presets: ClassVar = {"wide": {"width": 100, "rate": 0.25}}


def test_a_built_in_name_returns_its_class():
    assert {"fader", "conditional-autoencoder"} <= set(method_names())
    assert get_method("fader") is Fader


def test_an_unknown_name_suggests_the_nearest_names():
    with pytest.raises(SettingError, match="'fadr'; the nearest names are fader"):
        get_method("fadr")
    with pytest.raises(SettingError, match="'my-method'; the nearest name is mmd"):
        get_method("my-method")


def test_a_method_from_a_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from starbench.methods.example import MyMethod\nclass Mine(MyMethod):\n    name = 'mine'\n"
    )
    assert get_method(f"{path}:Mine").name == "mine"
    with pytest.raises(SettingError, match="defines no 'Yours'"):
        get_method(f"{path}:Yours")
    with pytest.raises(SettingError, match=r"no file .*other\.py"):
        get_method(f"{tmp_path / 'other.py'}:Mine")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("name = 'My Method!'", "'name' of .* is 'My Method!'; give it lower-case words"),
        ("name = '../../evil'", "'name' of"),
        ("name = 3", "'name' of .* is 3"),
        ("name = 'pca'", "has the name of starbench's own method pca; give it another"),
        ("name = 'mine'; version = '1.0'", "'version' of .* must be a positive integer"),
        ("name = 'mine'; reference = None", "'reference' of .* must be a non-empty string"),
        ("name = 'mine'; Hyperparameters = dict", "must be a dataclass whose fields all have"),
    ],
)
def test_the_class_attributes_of_a_method_are_checked_when_it_is_found(tmp_path, body, sentence):
    path = tmp_path / "mine.py"
    path.write_text(
        f"from starbench.methods.example import MyMethod\nclass Mine(MyMethod):\n    {body}\n"
    )
    with pytest.raises(SettingError, match=sentence):
        get_method(f"{path}:Mine")


def test_a_file_without_a_class_is_refused(tmp_path):
    with pytest.raises(SettingError, match=r"mine\.py names no class; give it as mine\.py:CLASS"):
        get_method("mine.py")


def test_a_class_that_is_not_a_method_is_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("class Mine:\n    pass\n")
    with pytest.raises(SettingError, match="not a subclass"):
        get_method(f"{path}:Mine")
    path.write_text("raise RuntimeError('half written')\n")
    with pytest.raises(SettingError, match="half written"):
        get_method(f"{path}:Mine")


@pytest.mark.parametrize("body", ["label_access = 'nuisance'", "control = False"])
def test_an_oracle_control_cannot_compete(tmp_path, body):
    path = tmp_path / "mine.py"
    path.write_text(
        "from starbench.methods.controls.composition import Composition\n"
        f"class Mine(Composition):\n    name = 'mine'; {body}\n"
    )
    with pytest.raises(SettingError, match="leave its label_access at 'oracle' and control at"):
        get_method(f"{path}:Mine")


def test_settings_follow_defaults_preset_and_command_line_in_that_order():
    assert make_hyperparameters(Toy) == Settings()
    assert make_hyperparameters(Toy, "wide").width == 100
    chosen = make_hyperparameters(Toy, "wide", ["width=3", "widths=5,6", "kind=b", "flag=false"])
    assert chosen == Settings(3, 0.25, (5, 6), "b", False)
    assert make_hyperparameters(Toy, None, ["rate=1", "widths=7"]) == Settings(
        rate=1.0, widths=(7,)
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("width", "key=value"),
        ("widht=3", "no hyperparameter 'widht'; did you mean width"),
        ("width=3.5", "must be of type int"),
        ("width=many", "must be of type int"),
        ("width=0", "at least 1"),
        ("rate=1.5", "between 0.0 and 1.0"),
        ("rate=nan", "must be of type float"),
        ("rate=1e999", "must be of type float"),
        ("widths=4,a", "must be of type tuple"),
        ("widths=4,0", "at least 1"),
        ("flag=3", "must be of type bool"),
    ],
)
def test_the_error_for_a_wrong_setting_names_it(setting, message):
    with pytest.raises(SettingError, match=message):
        make_hyperparameters(Toy, None, [setting])


IN_ROW = {"width": 8, "rate": 0.5, "widths": [4, 2], "kind": "a", "flag": True}


def test_hyperparameters_of_a_row_are_those_it_was_made_with():
    assert hyperparameters_of(Toy, IN_ROW) == Settings()
    changed = hyperparameters_of(Toy, {**IN_ROW, "rate": 1, "widths": [7], "kind": "b"})
    assert changed == Settings(rate=1.0, widths=(7,), kind="b")
    assert type(changed.rate) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 3}, "Only the row has the hyperparameter 'depth'; check out the row's commit"),
        ({"width": "many"}, "hyperparameter width must be of type int, but got 'many'"),
        ({"width": 0}, "hyperparameter width must be at least 1, but got 0"),
        ({"kind": 3}, "hyperparameter kind must be of type str"),
        ({"widths": {"a": 1}}, "hyperparameter widths must be of type tuple"),
    ],
)
def test_the_error_for_a_wrong_row_names_the_hyperparameter(change, message):
    with pytest.raises(SettingError, match=message):
        hyperparameters_of(Toy, {**IN_ROW, **change})


def test_a_row_without_a_hyperparameter_is_refused():
    with pytest.raises(SettingError, match="Only the installed toy has the hyperparameter 'flag'"):
        hyperparameters_of(Toy, {key: value for key, value in IN_ROW.items() if key != "flag"})


def test_the_error_for_an_unknown_preset_lists_the_presets():
    with pytest.raises(SettingError, match="no preset 'huge'; it has: wide"):
        make_hyperparameters(Toy, "huge")


def test_the_error_for_an_unknown_choice_lists_the_choices():
    with pytest.raises(SettingError, match=r"activation must be one of .*silu.*, but got 'tanh'"):
        make_hyperparameters(Fader, None, ["activation=tanh"])
    assert make_hyperparameters(Fader, None, ["activation=selu"]).activation == "selu"


@dataclass(frozen=True)
class Wide(Settings):
    scales: tuple[float, ...] = option((0.5, 1.0), "scales", low=1e-3)
    most: int | None = option(None, "a limit", low=1)
    label: str | None = option(None, "a text")


class WideToy(Toy):
    Hyperparameters = Wide


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("width=" + "9" * 400, "width must be of type int, with integers of at most 63 bits"),
        ("width=" + "9" * 5000, "width must be of type int, but got '999"),
        ("width=" + "[" * 5000, "width must be of type int, but got"),
        ("rate=" + "9" * 400, "rate must be of type float, with .* numbers up to 3.4e"),
        ("rate=1e300", "rate must be of type float, with .* numbers up to 3.4e"),
        ("scales=()", "scales must be of type .* with at least one number, but got '()'"),
        ("scales=1,1e300", "scales must be of type .*numbers up to 3.4e"),
        ("widths=" + "9" * 400, "widths must be of type tuple.*integers of at most 63 bits"),
        ("most=many", "most must be of type int or None, but got 'many'"),
        ("most=0", "most must be at least 1, but got 0"),
    ],
)
def test_a_value_that_no_method_can_use_is_refused_with_what_is_allowed(setting, message):
    with pytest.raises(SettingError) as caught:
        make_hyperparameters(WideToy, None, [setting])
    said = str(caught.value)
    assert said.startswith("--set ") and len(said) < 300
    assert all(part in said for part in message.split(".*"))


def test_a_network_may_have_no_hidden_layers_and_a_value_may_be_none():
    made = make_hyperparameters(
        WideToy, None, ["widths=()", "scales=1,2.5", "most=5", "label=7", "rate=1"]
    )
    assert (made.widths, made.scales, made.most, made.label) == ((), (1.0, 2.5), 5, "7")
    again = make_hyperparameters(WideToy, None, ["most=none", "label=none"])
    assert (again.most, again.label) == (None, None)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("width: int = 'many'", "The default of width in .* must be of type int, but got 'many'"),
        ("width: int = None", "The default of width in .* must be of type int, but got 'None'"),
        ("width: int | None = 0.5", "width in .* must be of type int or None, but got '0.5'"),
        ("width: int = 10**5000", "width in .* must be of type int, with integers of at most 63"),
        ("width: int = option(0, 'w', low=1)", "The default of width in .* must be at least 1"),
        ("width: 'Widths' = 3", "The types of .* cannot be resolved: NameError"),
        ("width: int = 3\n        def __post_init__(self): 1 / 0",
         "mine refuses the defaults of its hyperparameters: ZeroDivisionError"),
        ("width: int = 3\n    presets = {'big': {'widht': 9}}",
         "Preset 'big' of .* sets 'widht', which is no hyperparameter; choose from width"),
        ("width: int = 3\n    presets = {'big': {'width': 'many'}}",
         "width in preset 'big' of .* must be of type int, but got 'many'"),
        ("width: int = 3\n    presets = {'big': 3}", "presets of .* must map names to"),
        ("width: int = 3\n    presets = ['big']", "presets of .* must map names to"),
    ],
)  # fmt: skip
def test_the_hyperparameters_of_a_method_are_checked_when_it_is_found(tmp_path, body, sentence):
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from starbench.methods.base import option\n"
        "from starbench.methods.example import MyMethod\n"
        "class Mine(MyMethod):\n"
        "    name = 'mine'\n"
        "    @dataclass(frozen=True)\n"
        "    class Hyperparameters:\n"
        f"        {body}\n"
    )
    with pytest.raises(SettingError, match=sentence):
        get_method(f"{path}:Mine")


def test_hyperparameters_that_a_method_refuses_are_named(tmp_path):
    @dataclass(frozen=True)
    class Even:
        width: int = 2

        def __post_init__(self):
            if self.width % 2:
                raise ValueError("give an even width")

    class EvenToy(Toy):
        Hyperparameters, presets = Even, {}

    assert get_method(EvenToy) is EvenToy
    with pytest.raises(SettingError, match=r"toy refuses width = 3: .*give an even width"):
        make_hyperparameters(EvenToy, None, ["width=3"])


def test_a_method_without_hyperparameters_is_said_to_have_none():
    with pytest.raises(SettingError, match="no hyperparameter 'latent'; it has none, so leave out"):
        make_hyperparameters(get_method("constant-latent"), None, ["latent=3"])

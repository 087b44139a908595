import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.cfssl.flag_table import COMMANDS, FLAGS, command_flags, usage
from groundplane.pki.cfssl.flags import BadFlags, HelpWanted, parse


@pytest.mark.parametrize("words", [["-ca", "x"], ["-ca=x"], ["--ca", "x"], ["--ca=x"]])
def test_one_dash_or_two_and_the_value_after_a_blank_or_an_equals_sign(words: list[str]) -> None:
    values, rest = parse([*words, "csr.json", "-ca", "y"], FLAGS)
    assert (values["ca"], rest) == ("x", ["csr.json", "-ca", "y"])


def test_a_bool_takes_its_value_only_after_an_equals_sign() -> None:
    assert parse(["-initca", "false"], FLAGS)[0]["initca"] is True
    assert parse(["-initca=F", "x"], FLAGS) == ({**parse([], FLAGS)[0]}, ["x"])


def test_two_dashes_end_the_flags_and_one_is_standard_input() -> None:
    assert parse(["--", "-initca"], FLAGS)[1] == ["-initca"]
    assert parse(["-", "-initca"], FLAGS)[1] == ["-", "-initca"]


@pytest.mark.parametrize(("text", "number"), [("0x10", 16), ("010", 8), ("-3", -3), ("0", 0), ("0b11", 3)])
def test_integers_are_go_s(text: str, number: int) -> None:
    assert parse([f"-loglevel={text}"], FLAGS)[0]["loglevel"] == number


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["-no"], "flag provided but not defined: -no"),
        (["-loglevel"], "flag needs an argument: -loglevel"),
        (["-loglevel=1.5"], 'invalid value "1.5" for flag -loglevel: parse error'),
        (["-initca=2"], 'invalid boolean value "2" for -initca: parse error'),
        (["-interval=5"], 'invalid value "5" for flag -interval: parse error'),
        (["---x"], "bad flag syntax: ---x"),
        (["-=x"], "bad flag syntax: -=x"),
    ],
)
def test_what_is_wrong_is_said_as_go_says_it(words: list[str], line: str) -> None:
    with pytest.raises(BadFlags) as bad:
        parse(words, FLAGS)
    assert bad.value.line == line


def test_help_is_no_error() -> None:
    with pytest.raises(HelpWanted):
        parse(["-initca", "-help"], FLAGS)


@given(st.lists(st.text(max_size=8)))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    try:
        _, rest = parse(words, FLAGS)
    except (BadFlags, HelpWanted):
        return
    assert words[len(words) - len(rest) :] == rest


def test_every_command_has_a_usage_that_names_its_flags() -> None:
    for command in COMMANDS:
        text = usage(f"cfssl {command}", command, command_flags(command))
        assert text.startswith(f"\tcfssl {command} -- ")
        assert "  -loglevel=1: " in text

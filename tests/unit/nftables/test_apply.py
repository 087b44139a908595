import ctypes

import pytest

from groundplane.nftables import Applier, LibraryMissing, MemoryFilter, Refused, Table, Transaction, apply
from groundplane.nftables.model import ACCEPT, DROP, Chain, Rule, jump


def table(*rules: Rule) -> Table:
    return Table(name="t", chains={"c": Chain(rules=rules)})


class Unlisted(MemoryFilter):
    """Counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read(self, family: str, name: str) -> Table | None:
        self.reads += 1
        return super().read(family, name)


def test_the_kernel_is_read_once_and_then_remembered() -> None:
    kernel = Unlisted()
    applier = Applier(kernel, name="t")
    for rule in (Rule((ACCEPT,)), Rule((DROP,)), Rule((ACCEPT,))):
        assert applier.apply(table(rule))
    assert kernel.reads == 1
    assert kernel.read("inet", "t") == table(Rule((ACCEPT,)))


def test_nothing_changed_runs_nothing() -> None:
    kernel = MemoryFilter()
    applier = Applier(kernel, name="t")
    applier.apply(table())
    assert not applier.apply(table())
    assert len(kernel.transactions) == 1


def test_a_resync_repairs_what_another_program_did() -> None:
    kernel = MemoryFilter()
    applier = Applier(kernel, name="t")
    applier.apply(table(Rule((DROP,))))
    kernel.tables["inet", "t"] = table(Rule((ACCEPT,)))
    applier.resync()
    assert applier.apply(table(Rule((DROP,))))
    assert kernel.read("inet", "t") == table(Rule((DROP,)))


def test_a_refusal_leaves_the_kernel_as_it_was_and_makes_the_next_apply_look_again() -> None:
    kernel = Unlisted()
    applier = Applier(kernel, name="t")
    applier.apply(table(Rule((DROP,))))
    with pytest.raises(Refused, match="no such thing"):
        applier.apply(table(Rule((jump("nowhere"),))))
    assert kernel.read("inet", "t") == table(Rule((DROP,)))
    kernel.reads = 0
    applier.apply(table(Rule((ACCEPT,))))
    assert kernel.reads == 1


def test_no_table_wanted_takes_it_away() -> None:
    kernel = MemoryFilter()
    applier = Applier(kernel, name="t")
    applier.apply(table())
    assert applier.apply(None)
    assert kernel.read("inet", "t") is None
    assert not applier.apply(None)


def test_an_empty_transaction_is_false() -> None:
    assert not Transaction(family="inet", table="t")


def test_a_missing_library_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> object:
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    apply._library.cache_clear()
    with pytest.raises(LibraryMissing, match="not on this host") as raised:
        apply.Netfilter()
    assert raised.value.hint == "apt install libnftables1"
    apply._library.cache_clear()

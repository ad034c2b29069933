"""Country names."""

from importlib import resources

from vemetric.enrich import countries


def test_known_codes_have_names_and_unknown_ones_are_shown_as_they_are() -> None:
    assert countries.name("AT") == "Austria"
    assert countries.name("CI") == "Côte d’Ivoire"
    assert countries.name("") == ""
    assert countries.name("ZZ") == "ZZ"


def test_every_country_of_the_time_zone_table_has_a_name() -> None:
    table = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    codes = {line.split("\t")[0] for line in table.splitlines() if not line.startswith("#")}
    assert len(codes) > 240
    assert codes <= countries.names().keys()


def test_codes_are_two_capitals_and_names_differ() -> None:
    names = countries.names()
    assert all(len(code) == 2 and code.isalpha() and code.isupper() for code in names)
    assert len(set(names.values())) == len(names)

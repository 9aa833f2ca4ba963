"""The regions of `allowedRegions`: ISO 3166 alpha-2 codes and named groups of countries."""

from __future__ import annotations

from collections.abc import Iterable

COUNTRIES = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP
    KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT
    MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
    SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ
    UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """.split()
)

EUROPEAN_UNION = frozenset("AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split())

GROUPS: dict[str, frozenset[str]] = {
    "EU": EUROPEAN_UNION,
    "EEA": EUROPEAN_UNION | {"IS", "LI", "NO"},
}


def parse_region(text: str) -> str:
    """Return a region's canonical name; raises ValueError with the rule that it breaks."""
    if text in COUNTRIES or text in GROUPS:
        return text
    groups = " or ".join(sorted(GROUPS))
    raise ValueError(f"Not an ISO 3166 alpha-2 country in capitals, nor {groups}.")


def allows(regions: Iterable[str], country: str | None) -> bool:
    """Return whether a country may call. No regions allow every country; an unknown country (None) is in no region."""
    wanted = tuple(regions)
    if not wanted:
        return True
    return country is not None and any(country == region or country in GROUPS.get(region, ()) for region in wanted)

"""Charts: what is drawn is what the table says, and neither lets a text act."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from voiceapps.console.charts import HEIGHT, WIDTH, Chart, Series, stacked

TITLES = {"success": "ended well", "network": "lost"}


def chart(*series: Series, places: int = 3) -> Chart:
    return Chart("calls", "Calls", "Calls of <b>three</b> minutes.", tuple(f"10:0{place} UTC" for place in range(places)), series)


def drawn(one: Chart) -> etree._Element:
    return etree.fromstring(one.svg())


def test_each_bar_is_as_high_as_its_parts() -> None:
    one = chart(Series("success", "ended well", (4, 0, 1)), Series("network", "lost", (4, 0, 0)))
    first, last = drawn(one).findall("g")
    assert [rect.get("class") for rect in first.findall("rect")] == ["sipuri-bar-success", "sipuri-bar-network"]
    assert sum(float(rect.get("height", 0)) for rect in first.findall("rect")) == HEIGHT
    assert [float(rect.get("height", 0)) for rect in last.findall("rect")] == [HEIGHT / 8]
    assert first.findtext("title") == "10:00 UTC: 4 ended well, 4 lost"
    assert one.top == 8
    assert [series.total for series in one.series] == [5, 4]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60))
def test_no_bar_leaves_the_drawing(values: list[tuple[int, int]]) -> None:
    one = chart(Series("a", "a", tuple(x for x, _ in values)), Series("b", "b", tuple(y for _, y in values)), places=len(values))
    for rect in drawn(one).iter("rect"):
        x, y, width, height = (float(rect.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert x + width <= WIDTH + 0.02
        assert y >= -0.02
        assert y + height <= HEIGHT + 0.02


def test_it_says_what_it_is() -> None:
    svg = drawn(chart(Series("success", "ended well", (1, 0, 0))))
    ids = {svg[0].get("id"), svg[1].get("id")}
    assert svg.get("role") == "img"
    assert ids == set(svg.get("aria-labelledby", "").split())
    assert (svg[0].text, svg[1].text) == ("Calls", "Calls of <b>three</b> minutes.")


def test_the_table_has_the_bars_that_are_not_empty() -> None:
    table = etree.fromstring(chart(Series("success", "ended <well>", (4, 0, 1)), Series("network", "lost", (4, 0, 0))).table())
    rows = [[cell.text for cell in row] for row in table.findall("tr")]
    assert rows == [["From", "ended <well>", "lost"], ["10:02 UTC", "1", "0"], ["10:00 UTC", "4", "4"]]


def test_parts_that_are_nowhere_are_left_out() -> None:
    assert stacked({"success": {3: 7}, "network": {1: 5}}, TITLES, range(2, 5)) == (Series("success", "ended well", (0, 7, 0)),)
    assert chart().top == 0

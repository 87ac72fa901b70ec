"""Every strategy has its card, generated texts are fresh, and no link is dead."""

import json
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.evidence import overview
from tfmlselect import __version__, losses, strategies

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "docs" / "strategies"
BALANCING = ROOT / "docs" / "balancing"
SECTIONS = [
    "Equation",
    "When it helps, and when it does not",
    "Cost",
    "Defaults and why",
    "Deviations and open points",
    "Source",
]
COMPOSITES = ("mixture", "switch")  # made of others, whose costs add up
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Of the site alone: the index is README.md, and includes have their links checked where they are.
SITE_ONLY = {"index", "changelog", "contributing"}
LINK = re.compile(r"\]\(([^)\s]+)\)")
TREE = re.compile(r"^```{toctree}\n(.*?)^```", flags=re.M | re.S)


def read(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*strategies.names(), *COMPOSITES])
def test_each_strategy_has_a_card_with_all_sections(name):
    card = CARDS / f"{name}.md"
    assert card.exists(), f"docs/strategies/{name}.md is missing"
    text = read(card)
    assert text.startswith("# ")
    assert re.findall(r"^## (.+)$", text, flags=re.M) == SECTIONS
    assert all(len(part.strip().split("\n", 1)) == 2 for part in text.split("\n## ")[1:])
    sentence = text.split("\n\n")[1]
    assert sentence.endswith(".")
    assert ". " not in " ".join(sentence.split())
    assert ("<!-- measured -->" in text) == (name not in COMPOSITES)


def test_no_card_without_a_strategy():
    assert {path.stem for path in CARDS.glob("*.md")} == {*strategies.names(), *COMPOSITES}


def test_costs_were_measured_for_every_strategy():
    costs = json.loads(read(CARDS / "costs.json"))
    assert list(costs["strategies"]) == strategies.names()


def test_generated_texts_are_fresh():
    stale = [path.name for path, text in overview.generated().items() if read(path) != text]
    assert not stale, "run: python -m benchmarks.evidence.overview"


@pytest.mark.parametrize(
    ("card", "marker"),
    [
        ("hard_imbalance", "seed claim"),
        ("d2ace", "correlation step"),
        ("uncertainty", "correlation step"),
    ],
)
def test_a_changed_measurement_makes_its_table_stale(monkeypatch, tmp_path, card, marker):
    text = read(CARDS / f"{card}.md")
    assert text.count(f"<!-- {marker} -->\n") == text.count(f"<!-- /{marker} -->\n") == 1
    shutil.copytree(CARDS, tmp_path / "cards")
    monkeypatch.setattr(overview, "CARDS", tmp_path / "cards")
    path = tmp_path / "cards" / f"{card}.md"
    assert overview.generated()[path] == text
    costs = json.loads(read(CARDS / "costs.json"))
    costs["correlation_step_s"] = dict.fromkeys(costs["correlation_step_s"], 0.123)
    (tmp_path / "cards" / "costs.json").write_text(json.dumps(costs), encoding="utf-8")
    losses = json.loads(read(CARDS / "minority_losses.json"))
    losses["strategies"]["d2ace"]["40"]["with"] = 0.123
    (tmp_path / "cards" / "minority_losses.json").write_text(json.dumps(losses), encoding="utf-8")
    assert "0.123" in overview.generated()[path].split(f"<!-- {marker} -->")[1]


def test_the_table_of_the_text_network_has_its_place():
    path = ROOT / "docs" / "evidence" / "text_from_scratch.md"
    assert read(path).count("<!-- from scratch -->\n") == 1
    assert read(path).count("<!-- /from scratch -->\n") == 1
    assert path in overview.generated()


def test_losses_were_measured_for_known_strategies_after_the_same_epochs():
    losses = json.loads(read(CARDS / "minority_losses.json"))
    rows = losses["strategies"]
    assert set(rows) <= set(strategies.names())
    assert rows["uniform"]
    assert all(list(row) == list(rows["uniform"]) for row in rows.values())
    assert len(losses["samples"]) == losses["seeds"]


def test_text_between_markers_is_replaced_and_else_nothing():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb"
    assert overview.between(text, "x", "new \\1") == "a\n<!-- x -->\nnew \\1\n<!-- /x -->\nb"
    assert overview.between(text, "y", "new") == text


def test_the_readme_s_first_block_runs_as_it_is_pasted():
    block = re.search(r"^```python\n(.*?)^```", read(ROOT / "README.md"), flags=re.M | re.S)[1]
    names = {"__name__": "__main__"}  # and none of this module's
    exec(block, names)
    assert names["model"].history.epoch[-1] == 99
    assert names["train"].epoch == 100


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_are_alive(page):
    targets = [link.split("#")[0] for link in LINK.findall(read(page)) if "://" not in link]
    dead = [link for link in targets if link and not (page.parent / link).exists()]
    assert not dead


def test_the_citation_is_of_this_version():
    assert f"\nversion: {__version__}\n" in read(ROOT / "CITATION.cff")


def tree_entries(page):
    """The pages that a page's toctrees name, relative to docs/."""
    lines = [line for tree in TREE.findall(read(page)) for line in tree.splitlines()]
    folder = page.parent.relative_to(ROOT / "docs")
    return [(folder / line).as_posix() for line in lines if line and not line.startswith(":")]


def test_every_page_is_in_the_navigation_once():
    entries = [entry for page in PAGES[1:] for entry in tree_entries(page)]
    pages = [*PAGES[1:], *NOTEBOOKS]
    names = [page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in pages]
    assert sorted([*entries, "index"]) == sorted(names)


def test_every_page_is_linked_from_another():
    linked = {
        (page.parent / link.split("#")[0]).resolve()
        for page in PAGES
        for link in LINK.findall(read(page))
        if "://" not in link
    }
    linked |= {ROOT / "docs" / f"{entry}.md" for entry in tree_entries(ROOT / "docs/api/index.md")}
    pages = [page for page in PAGES[1:] if page.stem not in SITE_ONLY or page.parent.name == "api"]
    assert not [page.name for page in pages if page not in linked]


def table_rows(text):
    """The cells of each row of all tables, their headings left out."""
    bodies = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", text, flags=re.M)
    return [line.strip("|").split("|") for body in bodies for line in body.splitlines()]


def names_of_tests():
    """Of functions, and of the test cases that state machines are."""
    tests = "\n".join(map(read, (ROOT / "tests").rglob("test_*.py")))
    return {*re.findall(r"^(?:def )?(test_\w+(?=\()|Test\w+(?= = ))", tests, flags=re.M)}


def test_each_promise_names_its_tests():
    rows = table_rows(read(ROOT / "docs" / "promises.md"))
    assert len(rows) > 15
    for *_, named in rows:
        assert {*named.strip(" `").split("`, `")} <= names_of_tests(), named


def test_each_row_of_any_fit_names_its_tests_and_each_no_its_error():
    known = names_of_tests()
    rows = table_rows(read(ROOT / "docs" / "any_fit.md"))
    assert len(rows) > 20
    for _, verdict, otherwise, named in rows:
        assert {*named.strip(" `").split("`, `")} <= known, named
        assert "Error`" in otherwise or not re.match(r" no\b", verdict), verdict


@pytest.mark.parametrize("card", sorted(BALANCING.glob("*.md")), ids=lambda path: path.stem)
def test_cards_of_losses_and_layers(card):
    text = read(card)
    sections = re.findall(r"^## (.+)$", text, flags=re.M)
    assert [name for name in sections if name in SECTIONS] == [
        name for name in SECTIONS if name in sections
    ]
    assert {*SECTIONS} - {"Cost"} <= {*sections}
    assert "```python\n" in text  # which `make docs` runs


def test_no_loss_or_layer_without_a_card():
    names = [*losses.__all__, "FeatureWeakening"]
    stems = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in names}
    assert {path.stem for path in BALANCING.glob("*.md")} == stems

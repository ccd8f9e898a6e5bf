"""The language in which a person searches: its meaning, and that no text whatever is an error."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.repositories.memories import Memories, NewMemory
from node.search.query import QUERY_CHARACTERS_MAX, TERMS_MAX, match_expression
from node.search.recall import Recall
from tests.support.scratch_store import scratch_store


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("hazelnut allergy", '"hazelnut" OR "allergy"'),
        ("C++", '"C++"'),
        ("what's up?", '"what\'s" OR "up?"'),
        ("foo-bar", '"foo-bar"'),
        ("a AND", '"a" OR "AND"'),
        ("AND OR NOT", '"AND" OR "NOT"'),
        ("NOT quiet", '"NOT" OR "quiet"'),
        ("auth*", '"auth"*'),
        ('"top C" piano', '"top C" OR "piano"'),
        ('"never closed', '"never closed"'),
        ('"old pian"*', '"old pian"*'),
        ("cats AND dogs", '("cats" AND "dogs")'),
        ("birds cats AND dogs", '"birds" OR ("cats" AND "dogs")'),
        ("cats OR dogs", '"cats" OR "dogs"'),
        ("cats NOT dogs", '("cats") NOT ("dogs")'),
        ("cats AND NOT dogs", '("cats") NOT ("dogs")'),
        ("cats birds NOT dogs", '("cats" OR "birds") NOT ("dogs")'),
        ("cats and dogs", '"cats" OR "dogs"'),
        ("NEAR(a b)", '"NEAR(a" OR "b)"'),
        ("content:secret", '"content:secret"'),
        ("What is the name of the dog?", '"name" OR "dog?"'),
        ("who is it", '"who" OR "is" OR "it"'),
        ("dog dog dog", '"dog"'),
        ("nul\0byte", '"nul" OR "byte"'),
        ("+++ piano", '"piano"'),
    ],
)
def test_what_is_typed_becomes_an_expression_of_quoted_terms(text: str, expression: str) -> None:
    assert match_expression(text) == expression


@pytest.mark.parametrize("text", ["", "   ", "+++", '""', '"', "*", "()", "🎹", "東京タワー", "สวัสดี"])
def test_what_has_no_words_has_no_expression(text: str) -> None:
    assert match_expression(text) is None


def test_a_very_long_text_is_searched_by_its_beginning() -> None:
    expression = match_expression(" ".join(f"word{number}" for number in range(100_000)))
    assert expression is not None
    assert expression.count('"') == 2 * TERMS_MAX
    assert len(expression) < QUERY_CHARACTERS_MAX * 2


SEARCHES = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                '"',
                "*",
                "AND",
                "OR",
                "NOT",
                "(",
                ")",
                "NEAR",
                "^",
                ":",
                "-",
                "+",
                "piano",
                "a",
                "'",
                "\0",
                "{",
                ";",
                "\ud800",
            ]
        ),
        max_size=12,
    ).map(" ".join),
    st.lists(st.sampled_from(list("\"*^:()-+'aANDORT \\{}")), max_size=20).map("".join),
)


def test_no_text_whatever_makes_the_search_fail(tmp_path: Path) -> None:
    scratch = scratch_store(tmp_path)
    Memories(scratch.store, scratch.clock).remember(NewMemory(content="The piano has a top C and no OR."))
    recall = Recall(scratch.store)

    @settings(derandomize=True, max_examples=400, deadline=None)
    @given(SEARCHES)
    def search(text: str) -> None:
        assert len(recall.search(text)) <= 1

    search()

"""Figures are counted where things happen and written so that Prometheus reads them."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.api.exposition import exposition
from node.metrics import APPLY_SECONDS_BOUNDS, Histogram
from node.operations.metrics import peer_figures
from node.requests import MetricsReport
from node.requests.metrics import Figure, Sample
from tests.support.nodes import Node, live_realm, make_node, running, until

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[0-9.e+-]+)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


def parsed(text: str) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read the exposition format strictly: every line is a comment that belongs to what follows it, or one sample."""
    samples = {}
    assert text == "" or text.endswith("\n")
    for line in text.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            continue
        found = SAMPLE.fullmatch(line)
        assert found is not None, line
        labels = tuple(
            (name, re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), value))
            for name, value in LABEL.findall(found[2] or "")
        )
        assert (found[1], labels) not in samples, line
        samples[found[1], labels] = float(found[3])
    return samples


def test_figures_are_written_as_the_format_says() -> None:
    figures = [
        Figure(name="a_total", kind="counter", says="One\nline \\.", samples=[Sample(value=3)]),
        Figure(
            name="b",
            kind="gauge",
            says="Labelled.",
            samples=[Sample(value=0.25, labels={"stream": 'qu"o\\te\n', "peer": "x"}), Sample(value=2.0**60)],
        ),
    ]
    assert exposition(MetricsReport(figures=figures)) == (
        "# HELP a_total One\\nline \\\\.\n# TYPE a_total counter\na_total 3\n"
        '# HELP b Labelled.\n# TYPE b gauge\nb{stream="qu\\"o\\\\te\\n",peer="x"} 0.25\nb 1.152921504606847e+18\n'
    )


@settings(derandomize=True, max_examples=100)
@given(value=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_label_is_read_back_as_it_was(value: str) -> None:
    # The format knows one line break; splitlines() knows more of them.
    value = re.sub(r"[\r\v\f\x1c-\x1e\x85\u2028\u2029]", "", value)
    figure = Figure(name="x", kind="gauge", says="", samples=[Sample(value=1, labels={"label": value})])
    assert parsed(exposition(MetricsReport(figures=[figure]))) == {("x", (("label", value),)): 1}


def test_a_histogram_counts_a_value_in_every_bucket_that_holds_it() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.1, 0.1000001, 1.0, 7.0):
        histogram.observe(value)
    assert histogram.cumulative() == [1, 3, 4]
    assert histogram.total == pytest.approx(8.2000001)
    assert list(APPLY_SECONDS_BOUNDS) == sorted(set(APPLY_SECONDS_BOUNDS))


async def test_what_one_node_sends_the_other_counts_as_received(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(first, second):
        second.runtime.dial(first.runtime.listen_address)
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
        first.remember("one", "two")
        await until(lambda: second.texts() == {"one", "two"} and first.in_sync_with_all())
        sent, received = first.runtime.traffic, second.runtime.traffic
        assert sent.links_opened == received.links_opened == 1
        assert sent.batches_sent >= 1
        assert received.batches_applied >= 1
        assert received.apply_seconds.cumulative()[-1] >= 1
        assert received.apply_seconds.total > 0
        assert received.batches_refused == sent.links_broken == received.links_broken == 0
        await until(lambda: (sent.frames_out, sent.frame_bytes_out) == (received.frames_in, received.frame_bytes_in))
        assert sent.frame_bytes_out > 500


async def test_a_peer_is_told_by_the_beginning_of_its_id_connected_and_in_sync(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    peer = (("peer", second.keys.device_id.hex()[:8]),)
    async with running(first, second):
        assert figures_of(first)["nuthatch_peer_connected", peer] == 0
        second.runtime.dial(first.runtime.listen_address)
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
        samples = figures_of(first)
        assert samples["nuthatch_peers", ()] == 1
        assert samples["nuthatch_peer_connected", peer] == samples["nuthatch_peer_in_sync", peer] == 1
        assert samples["nuthatch_peer_last_seen_timestamp_seconds", peer] > 1_700_000_000


def figures_of(node: Node) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], float]:
    return parsed(exposition(MetricsReport(figures=list(peer_figures(node.runtime.peers())))))

"""The instruments of the benchmarks measure what they say."""

import pytest
from nacl.exceptions import BadSignatureError

from simulations.bench.bare_loop import Sealer, batches
from simulations.bench.corpus import texts
from simulations.bench.realm import found_realm
from simulations.bench.samples import figure
from simulations.bench.tap import FrameReader
from sync.roster import evaluate

_HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
# RFC 6455 section 5.7: a binary message of 256 bytes, one of 65,536, and a masked ping that says Hello.
_FRAMES = (
    b"\x82\x7e\x01\x00" + bytes(256)
    + b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + bytes(65_536)
    + b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
)  # fmt: skip
_COUNTED = [(2, 260), (2, 65_546), (9, 11)]


@pytest.mark.parametrize("piece_bytes", [1, 7, 1_000_000])
def test_the_tap_counts_frames_however_they_are_cut(piece_bytes: int) -> None:
    reader, wire = FrameReader(), _HEAD + _FRAMES
    found = [frame for at in range(0, len(wire), piece_bytes) for frame in reader.feed(wire[at : at + piece_bytes])]
    assert found == _COUNTED


def test_the_tap_counts_no_frame_that_is_still_on_its_way() -> None:
    assert FrameReader().feed(_HEAD + _FRAMES[:200]) == []


def test_a_percentile_is_a_sample_by_nearest_rank() -> None:
    samples = [float(number) for number in range(1, 201)]
    assert figure("x", "ms", samples, percentile=99).value == 198.0
    assert figure("x", "ms", samples, percentile=100).value == 200.0
    assert figure("x", "ms", samples).value == 100.5


@pytest.mark.parametrize(("value", "reached"), [(0.34, False), (0.35, True)])
def test_a_goal_is_reached_at_its_very_value(value: float, *, reached: bool) -> None:
    assert figure("x", "ratio", [value], goal=0.35).reached is reached
    assert figure("x", "ms", [-value], goal=-0.35, better="less").reached is reached


def test_the_corpus_is_the_same_in_every_process_and_has_the_stated_length() -> None:
    first = texts(2_000, seed=1)
    assert first == texts(2_000, seed=1)
    assert 180 < sum(map(len, first)) / len(first) < 260


def test_both_devices_of_the_measured_realm_are_members_under_one_key_epoch() -> None:
    realm = found_realm(1_795_000_000_000)
    roster = evaluate(realm.realm_id, realm.statements)
    assert roster.active == {keys.device_id for keys in realm.keys}


def test_the_bare_loop_opens_what_it_sealed_and_refuses_a_changed_byte() -> None:
    sealer, batch = Sealer(), next(batches(10))
    frame = sealer.seal(batch)
    assert sealer.open(frame) == batch
    with pytest.raises(BadSignatureError):
        sealer.open(frame[:-1] + bytes([frame[-1] ^ 1]))

"""The named peer: two processes that do every duty of a sync on one flat table, and nothing that makes it a product.

The sender commits each batch to its own encrypted table (WAL, FULL), packs it, compresses it (zstd 1), seals it
(XChaCha20-Poly1305) and signs it once (Ed25519 over BLAKE2b); the receiver verifies, opens, unpacks, looks for
conflicts, upserts what is newer, commits (WAL, FULL) and only then acknowledges. At most `WINDOW` batches are under
way. There are no capture triggers, no merging of columns, no causal order, no row hashes, no full-text index and no
further peers. What a real replica reaches of this rate is the price of being one.

It shares no code with the product, so that a slow wrapper there cannot slow down what it is compared with; a batch
reaches the database as one blob and one list of offsets, the fastest way that the binding offers.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import libsql_experimental
import msgspec
from aiohttp import ClientSession, WSMsgType, web
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from zstandard import ZstdCompressor, ZstdDecompressor

from simulations.bench.corpus import texts
from simulations.bench.processes import Child, tell

BATCH_RECORDS = 1_000
WINDOW = 4
FRAME_BYTES_MAX = 8 * 1024 * 1024
SECONDS_MAX = 120.0
_SIGNATURE_BYTES = 64
_NONCE_BYTES = 24

# Both ends know the keys: the peer's handshake is not what is measured.
_BOX_KEY = blake2b(b"box", digest_size=32).digest()
_DATABASE_KEY = blake2b(b"database", digest_size=32).digest()
_SIGN_PUBLIC, _SIGN_SECRET = crypto_sign_seed_keypair(blake2b(b"sign", digest_size=32).digest())

_SCHEMA = (
    """CREATE TABLE records (rid INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, hlc BLOB NOT NULL, base BLOB NOT NULL,
    device INTEGER NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX records_by_sequence ON records (device, sequence)",
    "CREATE TABLE frontier (device INTEGER PRIMARY KEY, sequence INTEGER NOT NULL)",
)
# Fixed-width columns lie side by side in one blob, so a row is cut out of it by its number (`key`); where its body
# lies is one integer: offset << 24 | length.
_CONFLICTS = (
    "SELECT count(*) FROM json_each(?2) AS row JOIN records ON records.id = substr(?1, row.key * 16 + 1, 16)"
    " WHERE records.hlc > substr(?1, ?3 * 24 + row.key * 8 + 1, 8)"
)
_UPSERT = (
    "INSERT INTO records (id, hlc, base, device, sequence, body)"
    " SELECT substr(?1, row.key * 16 + 1, 16), substr(?1, ?3 * 16 + row.key * 8 + 1, 8),"
    " substr(?1, ?3 * 24 + row.key * 8 + 1, 8), ?4, ?5, substr(?1, (row.value >> 24) + 1, row.value & 16777215)"
    " FROM json_each(?2) AS row WHERE true"
    " ON CONFLICT (id) DO UPDATE SET hlc = excluded.hlc, base = excluded.base, device = excluded.device,"
    " sequence = excluded.sequence, body = excluded.body WHERE excluded.hlc > records.hlc"
)
_FRONTIER = "INSERT INTO frontier VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET sequence = excluded.sequence"


class Batch(msgspec.Struct, array_like=True, frozen=True):
    """Records as columns: `columns` is ids(16 each), stamps(8), base stamps(8), bodies; `lengths` are the bodies'."""

    device: int
    sequence: int
    lengths: list[int]
    columns: bytes


class Table:
    """The flat table of one side."""

    def __init__(self, directory: Path, name: str) -> None:
        self._connection = libsql_experimental.connect(
            str(directory / name), encryption_key=_DATABASE_KEY.hex(), isolation_level=None
        )
        # As durable as the product is. Checkpoints at the interval of the engine itself were the fastest honest ones.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY", "cache_size=-65536"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        for statement in _SCHEMA:
            self._connection.execute(statement)

    def apply(self, batch: Batch) -> int:
        """Commit a batch durably; the number of its records that meet a version unknown to their author."""
        count = len(batch.lengths)
        starts = accumulate(batch.lengths[:-1], initial=count * 32)
        places = msgspec.json.encode([start << 24 | size for start, size in zip(starts, batch.lengths, strict=True)])
        rows = (batch.columns, places.decode(), count)
        self._connection.execute("BEGIN IMMEDIATE")
        ((conflicts,),) = self._connection.execute(_CONFLICTS, rows).fetchall()
        self._connection.execute(_UPSERT, (*rows, batch.device, batch.sequence))
        self._connection.execute(_FRONTIER, (batch.device, batch.sequence))
        self._connection.execute("COMMIT")
        assert isinstance(conflicts, int)
        return conflicts

    def fingerprint(self) -> tuple[int, str]:
        """Number of records and a hash of all of them, in the order of their ids."""
        rows = self._connection.execute("SELECT id, hlc, body FROM records ORDER BY id").fetchall()
        return len(rows), blake2b(b"".join(part for row in rows for part in row), digest_size=16).hexdigest()


def batches(count: int) -> Iterator[Batch]:
    """New records in batches, with time-ordered ids."""
    stamp = 1_700_000_000_000 << 16
    for sequence, first in enumerate(range(0, count, BATCH_RECORDS), 1):
        bodies = [text.encode() for text in texts(min(BATCH_RECORDS, count - first), seed=first)]
        numbers = range(stamp + first, stamp + first + len(bodies))
        ids = b"".join((number >> 16).to_bytes(6) + number.to_bytes(10) for number in numbers)
        stamps = b"".join(number.to_bytes(8) for number in numbers)
        columns = b"".join((ids, stamps, bytes(8 * len(bodies)), *bodies))
        yield Batch(device=1, sequence=sequence, lengths=[len(body) for body in bodies], columns=columns)


class Sealer:
    """Packs, compresses, seals and signs a batch, and the way back."""

    def __init__(self) -> None:
        self._compressor = ZstdCompressor(level=1)
        self._decompressor = ZstdDecompressor()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Batch)

    def seal(self, batch: Batch) -> bytes:
        packed = self._compressor.compress(self._encoder.encode(batch))
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(packed, b"", nonce, _BOX_KEY)
        return crypto_sign(blake2b(sealed, digest_size=32).digest(), _SIGN_SECRET)[:_SIGNATURE_BYTES] + sealed

    def open(self, frame: bytes) -> Batch:
        signature, sealed = frame[:_SIGNATURE_BYTES], frame[_SIGNATURE_BYTES:]
        crypto_sign_open(signature + blake2b(sealed, digest_size=32).digest(), _SIGN_PUBLIC)
        packed = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[_NONCE_BYTES:], b"", sealed[:_NONCE_BYTES], _BOX_KEY)
        return self._decoder.decode(self._decompressor.decompress(packed))


async def receive(directory: Path) -> None:
    """Serve one connection: apply what comes, acknowledge what is durable, tell what the table holds at the end."""
    table, sealer, finished = Table(directory, "receiver.db"), Sealer(), asyncio.Event()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=FRAME_BYTES_MAX)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                batch = sealer.open(message.data)
                table.apply(batch)
                await socket.send_bytes(batch.sequence.to_bytes(8))
        finished.set()
        return socket

    application = web.Application()
    application.router.add_get("/", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    tell(port=runner.addresses[0][1])
    await finished.wait()
    records, digest = table.fingerprint()
    tell(records=records, digest=digest)
    await runner.cleanup()


async def send(directory: Path, port: int, count: int) -> None:
    """Commit and send every batch as it is made; tell how long it took until all were acknowledged."""
    table, sealer, prepared = Table(directory, "sender.db"), Sealer(), list(batches(count))
    async with ClientSession() as session:
        url = f"ws://127.0.0.1:{port}/"
        async with session.ws_connect(url, compress=0, max_msg_size=FRAME_BYTES_MAX) as socket:
            started_at, under_way = time.perf_counter(), 0
            for batch in prepared:
                if under_way == WINDOW:
                    await socket.receive_bytes(timeout=SECONDS_MAX)
                    under_way -= 1
                table.apply(batch)
                await socket.send_bytes(sealer.seal(batch))
                under_way += 1
            for _ in range(under_way):
                await socket.receive_bytes(timeout=SECONDS_MAX)
            seconds = time.perf_counter() - started_at
    records, digest = table.fingerprint()
    tell(seconds=seconds, records=records, digest=digest)


def measure(records: int) -> float:
    """Records a second that are durable on both sides; raises RuntimeError unless both tables are equal afterwards."""
    module = "simulations.bench.bare_loop"
    with (
        TemporaryDirectory(prefix="nuthatch-bench-") as directory,
        Child(module, ["receive", directory], core=1) as receiver,
    ):
        port = receiver.hear(SECONDS_MAX)["port"]
        with Child(module, ["send", directory, str(port), str(records)], core=0) as sender:
            sent = sender.hear(SECONDS_MAX)
            received = receiver.hear(SECONDS_MAX)
    if (received["records"], received["digest"]) != (sent["records"], sent["digest"]) or sent["records"] != records:
        raise RuntimeError(f"The bare loop lost records: {sent} was sent, {received} received.")
    seconds = sent["seconds"]
    assert isinstance(seconds, float)
    return records / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="One side of the bare loop, or both and their rate.")
    parser.add_argument("role", choices=("receive", "send", "measure"))
    parser.add_argument("rest", nargs="*")
    arguments = parser.parse_args()
    match arguments.role, arguments.rest:
        case "receive", [directory]:
            asyncio.run(receive(Path(directory)))
        case "send", [directory, port, count]:
            asyncio.run(send(Path(directory), int(port), int(count)))
        case "measure", [count]:
            sys.stdout.write(f"{measure(int(count)):,.0f} records/s\n")
        case _:
            parser.error("receive DIRECTORY, send DIRECTORY PORT COUNT or measure COUNT")


if __name__ == "__main__":
    main()

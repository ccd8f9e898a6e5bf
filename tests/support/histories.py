"""Runs causally consistent histories of one row on several replicas, beside a model that knows no merging at all.

A history is a list of small numbers, so that Hypothesis can shrink it and a seeded generator can make thousands. Every
replica only ever joins what a real one could: whole deltas in causal order, or another replica's state.
The model keeps, for each replica, the set of writes that it knows of, and reads the expected values off that set.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from crdt.identifiers import Origin, RowId, Stamp, make_origin, make_stamp
from crdt.identifiers import Sequence as SequenceNumber
from crdt.place import Place
from crdt.row import RowState, join_rows
from crdt.strategies import STRATEGY_BY_CODE, STRATEGY_BY_NAME, CellState, Strategy
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.text import Text
from crdt.values import Scalar, value_order
from crdt.version_vector import VersionVector
from tests.support.replayed_texts import replayed_text

ROW = RowId(b"a row of the law")
REPLICAS = 3
COLUMNS = tuple(sorted(STRATEGY_BY_NAME))
VALUES: tuple[Scalar, ...] = (None, -1, 0, 1, 1.0, 0.5, 2**63 - 1, "", "a", "b", "\U0001f9e0", b"", b"a")
ELEMENTS = ("a", "b", "ü")
DOCUMENTS = (
    None, "{}", '{"a":1}', '{"a":{"b":1}}', '{"a":{"b":2,"c":[1]}}', '{"a":{}}', '{"a":{"b":{"d":null}}}', '{"e":true}',
    "[1]",
)  # fmt: skip
TEXTS = ("", "oak", "an oak", "an old oak\nby the pond", "the pond", "\U0001f333 oak", "by the pond\nan oak", "kao")

#: (what happens, replica, other replica, a number that chooses values)
Action = tuple[int, int, int, int]
Join = Callable[[RowState, RowState], RowState]


@dataclass(frozen=True, slots=True)
class CellWrite:
    """What a writer meant for one cell: the value, what it moved a counter by, which added elements it took away.

    For a document, `leaves` are the paths that it wrote (a JSON text) or took away (None).
    """

    value: Scalar
    change: int = 0
    added: frozenset[str] = frozenset()
    taken: frozenset[tuple[int, str]] = frozenset()
    leaves: Mapping[tuple[str, ...], str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Write:
    """One transaction on the row: what its writer meant, and the delta that the code under test made of it."""

    number: int
    stamp: Stamp
    generation: int
    cells: Mapping[str, CellWrite]
    delta: RowState


@dataclass(slots=True)
class HistoryReplica:
    """One replica: the state that was merged, its causal context, and the numbers of the writes that it knows."""

    origin: Origin
    state: RowState | None = None
    vector: VersionVector = field(default_factory=VersionVector)
    known: frozenset[int] = frozenset()


def expected_value(name: str, writes: Sequence[tuple[int, Stamp, CellWrite]]) -> Scalar:
    """Return what a column of strategy `name` must show to whoever knows of exactly these writes of it."""
    match name:
        case "lww":
            return max(writes, key=lambda write: write[1])[2].value
        case "immutable":
            return min(writes, key=lambda write: write[1])[2].value
        case "min":
            # NULL is no value yet.
            values = [write[2].value for write in writes]
            return min((value for value in values if value is not None), key=value_order, default=None)
        case "max":
            return max((write[2].value for write in writes), key=value_order)
        case "counter":
            return sum(write[2].change for write in writes)
        case "set":
            added = {(number, element) for number, _, cell in writes for element in cell.added}
            taken = {one for _, _, cell in writes for one in cell.taken}
            shown = sorted({element for _, element in added - taken})
            return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
        case "document":
            return shown_document(standing_leaves(writes))
        case _:
            raise AssertionError(f"no strategy is called {name}")


class History:
    """An execution; `pool` collects every state and delta that came up, as material for the laws."""

    def __init__(
        self,
        *,
        join: Join = join_rows,
        strategy_by_name: Mapping[str, Strategy] = STRATEGY_BY_NAME,
        columns: Sequence[str] = COLUMNS,
        mortal: bool = True,
    ) -> None:
        self.join = join
        self.strategy_by_name = strategy_by_name
        self.columns = columns
        self.mortal = mortal
        self.replicas = [
            HistoryReplica(make_origin(bytes([index + 1]) * 32, bytes([index + 7]) * 8)) for index in range(REPLICAS)
        ]
        self.writes: list[Write] = []
        self.pool: list[RowState] = []

    def run(self, actions: Sequence[Action]) -> None:
        """Carry out actions, checking after each that its replica shows what the model expects."""
        for kind, first, second, choice in actions:
            replica, other = self.replicas[first % REPLICAS], self.replicas[second % REPLICAS]
            match kind % 4:
                case 0 | 1:
                    self._write(replica, choice)
                case 2:
                    self._deliver(other, replica, 1 + choice % 4)
                case _:
                    self._join_state(other, replica)
            self.check(replica)

    def settle(self) -> None:
        """Deliver everything to everyone."""
        for source in self.replicas:
            for destination in self.replicas:
                self._deliver(source, destination, len(self.writes))
                self.check(destination)

    def _write(self, replica: HistoryReplica, choice: int) -> None:
        number = len(self.writes)
        seq = replica.vector.seq_by_origin.get(replica.origin, 0) + 1
        # Clocks differ and stand still: the low bits of the choice decide how far this one is behind.
        seen = max((int.from_bytes(self.writes[known].stamp[:8], "big") for known in replica.known), default=0)
        stamp = make_stamp(seen + 1 + choice % 3, replica.origin, seq)
        old = replica.state
        write: Write | None
        if old is None or not old.alive:
            write = self._insert(replica, number, stamp, choice)
        elif self.mortal and choice % 5 == 0:
            write = self._delete(old, number, stamp)
        else:
            write = self._update(replica, number, stamp, choice)
        if write is None:
            return
        self.writes.append(write)
        self._take(replica, write)

    def _insert(self, replica: HistoryReplica, number: int, stamp: Stamp, choice: int) -> Write:
        generation = 1 if replica.state is None else replica.state.generation + 1
        meant: dict[str, CellWrite] = {}
        cells: dict[str, CellState] = {}
        for name in self.columns:
            strategy = self.strategy_by_name[name]
            meant[name] = _meant(name, None, choice + len(name))
            cell = strategy.delta(None, meant[name].value, stamp, Place("t", ROW, generation, name))
            assert cell is not None, "a new cell is always written"
            cells[name] = cell
        return Write(number, stamp, generation, meant, self._row(generation, stamp, cells))

    def _update(self, replica: HistoryReplica, number: int, stamp: Stamp, choice: int) -> Write | None:
        assert replica.state is not None
        meant: dict[str, CellWrite] = {}
        cells: dict[str, CellState] = {}
        for index, name in enumerate(self.columns):
            if name == "immutable" or (len(self.columns) > 1 and (choice >> index) % 2 == 0):
                continue
            state = replica.state.cell_by_column[name]
            wish = _meant(name, self._writes_of(replica, name), choice + index)
            cell = self.strategy_by_name[name].delta(
                state, wish.value, stamp, Place("t", ROW, replica.state.generation, name)
            )
            if cell is not None and cell != state:
                meant[name], cells[name] = wish, cell
        generation = replica.state.generation
        return Write(number, stamp, generation, meant, self._row(generation, stamp, cells)) if cells else None

    def _delete(self, old: RowState, number: int, stamp: Stamp) -> Write:
        return Write(number, stamp, old.generation + 1, {}, self._row(old.generation + 1, stamp, {}))

    def _row(self, generation: int, stamp: Stamp, cells: Mapping[str, CellState]) -> RowState:
        codes = {name: self.strategy_by_name[name].code for name in cells}
        return RowState(generation=generation, born=stamp, code_by_column=codes, cell_by_column=cells)

    def _writes_of(self, replica: HistoryReplica, name: str) -> list[tuple[int, Stamp, CellWrite]]:
        generation = max((self.writes[number].generation for number in replica.known), default=0)
        known = (self.writes[number] for number in sorted(replica.known))
        return [
            (write.number, write.stamp, write.cells[name])
            for write in known
            if write.generation == generation and name in write.cells
        ]

    def _deliver(self, source: HistoryReplica, destination: HistoryReplica, count: int) -> None:
        for number in sorted(source.known - destination.known)[:count]:
            self._take(destination, self.writes[number])

    def _take(self, replica: HistoryReplica, write: Write) -> None:
        origin = Origin(write.stamp[8:48])
        seq = SequenceNumber(int.from_bytes(write.stamp[48:], "big"))
        vector = replica.vector.join(VersionVector({origin: seq}))
        merged = write.delta if replica.state is None else self.join(replica.state, write.delta)
        self._become(replica, merged, vector, replica.known | {write.number})
        self.pool.append(write.delta)

    def _join_state(self, source: HistoryReplica, destination: HistoryReplica) -> None:
        if source.state is None:
            return
        vector = destination.vector.join(source.vector)
        merged = source.state if destination.state is None else self.join(destination.state, source.state)
        self._become(destination, merged, vector, destination.known | source.known)

    def _become(self, replica: HistoryReplica, state: RowState, vector: VersionVector, known: frozenset[int]) -> None:
        replica.state, replica.vector, replica.known = in_context(state, vector), vector, known
        self.pool.append(replica.state)

    def check(self, replica: HistoryReplica) -> None:
        """Check life and every value of a replica against the model."""
        if replica.state is None:
            return
        generation = max(self.writes[number].generation for number in replica.known)
        assert replica.state.generation == generation, "the highest generation wins"
        if not replica.state.alive:
            return
        for name in self.columns:
            shown = self.strategy_by_name[name].value(replica.state.cell_by_column[name])
            expected = (
                self._expected_text(replica) if name == "text" else expected_value(name, self._writes_of(replica, name))
            )
            assert (shown, type(shown)) == (expected, type(expected)), f"{name} shows {shown!r}, not {expected!r}"

    def _expected_text(self, replica: HistoryReplica) -> Scalar:
        numbers = (number for number, _, _ in self._writes_of(replica, "text"))
        cells = (self.writes[number].delta.cell_by_column["text"] for number in numbers)
        return replayed_text(cell for cell in cells if isinstance(cell, Text))


def in_context(state: RowState, vector: VersionVector) -> RowState:
    """Return the state as a store keeps it: the causal context of its sets is the frontier of their stream."""
    cells = {
        name: ObservedSet(cell.element_by_dot, vector) if isinstance(cell, ObservedSet) else cell
        for name, cell in state.cell_by_column.items()
    }
    return RowState(
        generation=state.generation, born=state.born, code_by_column=state.code_by_column, cell_by_column=cells
    )


def _meant(name: str, earlier: list[tuple[int, Stamp, CellWrite]] | None, choice: int) -> CellWrite:
    """Return what a writer means who sees the `earlier` writes (None: the row is being inserted)."""
    if name == "counter":
        change = choice % 7 - 3
        present = sum(cell.change for _, _, cell in earlier or ())
        return CellWrite(present + change, change=change)
    if name == "set":
        wanted = frozenset(element for bit, element in enumerate(ELEMENTS) if choice >> bit & 1)
        added = {(number, element) for number, _, cell in earlier or () for element in cell.added}
        standing = added - {one for _, _, cell in earlier or () for one in cell.taken}
        shown = {element for _, element in standing}
        taken = frozenset(one for one in standing if one[1] not in wanted)
        return CellWrite(json.dumps(sorted(wanted)), added=wanted - shown, taken=taken)
    if name == "text":
        return CellWrite(TEXTS[choice % len(TEXTS)])
    if name == "document":
        return _meant_document(earlier, choice)
    return CellWrite(VALUES[choice % len(VALUES)])


def standing_leaves(
    writes: Sequence[tuple[int, Stamp, CellWrite]],
) -> dict[tuple[str, ...], tuple[Stamp, str]]:
    """Return the leaves of a document that its last writers left standing, shown or not."""
    last: dict[tuple[str, ...], tuple[Stamp, str | None]] = {}
    for _, stamp, cell in sorted(writes, key=lambda write: write[1]):
        last |= {path: (stamp, text) for path, text in cell.leaves.items()}
    return {path: (stamp, text) for path, (stamp, text) in last.items() if text is not None}


def shown_document(standing: Mapping[tuple[str, ...], tuple[Stamp, str]]) -> str | None:
    """Return what a document shows, found from the root down: each object asks whether its own leaf covers it."""
    if not standing:
        return None

    def show(path: tuple[str, ...]) -> object:
        beneath = [stamp for other, (stamp, _) in standing.items() if other[: len(path)] == path and other != path]
        own = standing.get(path)
        if own and (not beneath or (own[1] != "{}" and own[0] >= max(beneath))):
            return json.loads(own[1])
        keys = {other[len(path)] for other in standing if other[: len(path)] == path and other != path}
        return {key: show((*path, key)) for key in keys}

    return json.dumps(show(()), sort_keys=True, separators=(",", ":"))


def _meant_document(earlier: list[tuple[int, Stamp, CellWrite]] | None, choice: int) -> CellWrite:
    wanted = DOCUMENTS[choice % len(DOCUMENTS)]
    leaves: dict[tuple[str, ...], str | None] = {}
    if earlier is not None:
        standing = standing_leaves(earlier)
        shown = shown_document(standing)
        before = {} if shown is None else _leaves_of(json.loads(shown))
        leaves |= {path: None for path in standing if wanted is None or path not in _leaves_of(json.loads(wanted))}
    else:
        before = {}
    if wanted is not None:
        leaves |= {path: text for path, text in _leaves_of(json.loads(wanted)).items() if before.get(path) != text}
    return CellWrite(wanted, leaves=leaves)


def _leaves_of(parsed: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    if isinstance(parsed, dict) and parsed:
        return {at: text for key, inner in parsed.items() for at, text in _leaves_of(inner, (*path, key)).items()}
    return {path: json.dumps(parsed, separators=(",", ":"))}


def joiner(strategy_by_name: Mapping[str, Strategy]) -> Join:
    """Return a join of rows that takes each cell's strategy from `strategy_by_name`."""
    by_code = {strategy.code: strategy for strategy in strategy_by_name.values()}
    assert by_code.keys() <= STRATEGY_BY_CODE.keys()

    def join(a: RowState, b: RowState) -> RowState:
        if a.generation != b.generation:
            return a if a.generation > b.generation else b
        cells = dict(a.cell_by_column)
        codes = {**a.code_by_column, **b.code_by_column}
        for name, cell in b.cell_by_column.items():
            cells[name] = by_code[codes[name]].join(cells[name], cell) if name in cells else cell
        return RowState(generation=a.generation, born=min(a.born, b.born), code_by_column=codes, cell_by_column=cells)

    return join

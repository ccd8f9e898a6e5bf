"""What one seed runs: how many devices, how long, and which faults, each drawn on or off (swarm testing).

Leaving whole classes of faults out of some runs finds more than running all of them at once (Groce et al. 2012).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from node.schemas import CORE_COMPONENTS
from node.store.schema import Component, Table
from simulations.kernel.streams import SeededStream
from simulations.workloads.component import DRILL
from simulations.workloads.component_versions import EARLIER_DRILL, LATER_DRILL

COMPONENTS: tuple[Component, ...] = (*CORE_COMPONENTS, LATER_DRILL)
EARLIER_COMPONENTS: tuple[Component, ...] = (*CORE_COMPONENTS, EARLIER_DRILL)
TABLES: dict[str, Table] = {table.name: table for component in COMPONENTS for table in component.tables}

#: Groups of tables that a run concentrates on; few rows that everybody touches find more than many.
FOCUS_GROUPS: tuple[tuple[str, ...], ...] = (
    ("drill_folders", "drill_items"),
    ("drill_items", "drill_comments", "drill_reactions"),
    ("drill_settings", "drill_items"),
    ("drill_settings",),
    ("drill_notes",),
    tuple(table.name for table in DRILL.tables),
    ("conversations", "messages", "message_attachments"),
    ("memories", "preferences", "people", "relationships", "projects", "project_files"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The drawn settings of one run; probabilities are per step or per statement, `earlier` is per device."""

    devices: int
    steps: int
    tables: tuple[str, ...]
    late_devices: int
    loss: float
    duplication: float
    kill: float
    snapshot: float
    abort: float
    forbidden: float
    tamper: float
    jump: float
    restore: float
    clone: float
    unnoticed: float
    damage: float
    earlier: float
    skew_milliseconds_max: int
    frozen_time: bool
    statements_max: int


def as_drawn(plan: Plan) -> Plan:
    """Leave a plan as it was drawn."""
    return plan


def draw_plan(seed: int) -> Plan:
    """Return the plan of a seed."""
    random = SeededStream(seed, "plan")
    count = random.weighted(((2, 3), (3, 5), (4, 2), (5, 1), (6, 1)))
    return Plan(
        devices=count,
        steps=random.between(25, 80),
        tables=random.choice(FOCUS_GROUPS),
        late_devices=random.below(2) if count > 2 else 0,
        loss=_swarm(random, (0.05, 0.3)),
        duplication=_swarm(random, (0.1, 0.4)),
        kill=_swarm(random, (0.02, 0.08)),
        snapshot=_swarm(random, (0.03, 0.08)),
        abort=_swarm(random, (0.05, 0.1)),
        forbidden=_swarm(random, (0.05,)),
        tamper=_swarm(random, (0.05,)),
        jump=_swarm(random, (0.03, 0.1)),
        skew_milliseconds_max=random.choice((0, 0, 5_000, 3_600_000, 20 * 3_600_000)),
        frozen_time=random.chance(0.33),
        statements_max=random.choice((1, 3, 6)),
        # Drawn last, so that the other settings of a seed stay what they were.
        restore=_swarm(random, (0.05, 0.1)),
        clone=_swarm(random, (0.01, 0.03)),
        unnoticed=_swarm(random, (0.3, 0.6)),
        damage=_swarm(random, (0.05, 0.15)),
        earlier=_swarm(random, (0.4, 0.8)),
    )


def _swarm(random: SeededStream, sizes: Sequence[float]) -> float:
    on, size = random.chance(0.5), random.choice(sizes)
    return size if on else 0.0

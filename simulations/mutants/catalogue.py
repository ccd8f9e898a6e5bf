"""All planted bugs."""

from simulations.mutants.capturing import CAPTURING
from simulations.mutants.deriving import DERIVING
from simulations.mutants.forgetting import FORGETTING
from simulations.mutants.joining import JOINING
from simulations.mutants.merging import MERGING
from simulations.mutants.receiving import RECEIVING
from simulations.mutants.registry import Mutant
from simulations.mutants.repairing import REPAIRING
from simulations.mutants.restoring import RESTORING
from simulations.mutants.rewriting import REWRITING
from simulations.mutants.updating import UPDATING
from simulations.mutants.within_cells import WITHIN_CELLS

MUTANTS: tuple[Mutant, ...] = (
    *MERGING,
    *WITHIN_CELLS,
    *CAPTURING,
    *RECEIVING,
    *DERIVING,
    *FORGETTING,
    *RESTORING,
    *REWRITING,
    *JOINING,
    *REPAIRING,
    *UPDATING,
)

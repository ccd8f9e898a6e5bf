"""The network between the stores: parcels of batches that wait, overtake each other, come twice or never."""

from dataclasses import dataclass, field

from simulations.kernel.streams import SeededStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Batches as bytes, on their way to one device."""

    source: int
    destination: int
    raws: tuple[bytes, ...]


@dataclass(slots=True)
class Courier:
    """Holds every parcel under way; nothing is delivered in the order in which it was sent, except by chance."""

    random: SeededStream
    loss: float = 0.0
    duplication: float = 0.0
    under_way: list[Parcel] = field(default_factory=list)
    parcels_max: int = 40

    def send(self, parcel: Parcel) -> str:
        """Take a parcel, cut and shuffle it; return what became of it (for the trace)."""
        if self.random.chance(self.loss):
            return "lost"
        raws = list(parcel.raws)
        fate = "sent"
        if len(raws) > 1 and self.random.chance(0.4):
            raws = self.random.shuffled(raws)
            fate = "shuffled"
        if len(raws) > 1 and self.random.chance(0.3):
            del raws[self.random.below(len(raws))]
            fate = "incomplete"
        if self.random.chance(self.duplication):
            raws += self.random.sample(raws, 2)
            fate = "doubled"
        self.under_way.append(Parcel(source=parcel.source, destination=parcel.destination, raws=tuple(raws)))
        if len(self.under_way) > self.parcels_max:
            del self.under_way[self.random.below(len(self.under_way))]
        return fate

    def arriving(self) -> Parcel | None:
        """Return the next parcel to arrive, any of those under way; with `duplication` it also stays under way."""
        if not self.under_way:
            return None
        index = self.random.below(len(self.under_way))
        if self.random.chance(self.duplication):
            return self.under_way[index]
        return self.under_way.pop(index)

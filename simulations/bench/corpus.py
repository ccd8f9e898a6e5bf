"""Texts of the length that people write to assistants, the same in every run and process."""

from random import Random

# Published message corpora lie between 15 and 60 words; with these words the mean is about 230 bytes.
WORDS_MIN, WORDS_MAX = 15, 60
WORDS = """
    a about after again all and any ask back because before between blue book bread bring but by call can change city
    coffee cold come corner could daughter day dinner do door early east evening every family far find first for
    friend from garden get give go good green half hand have he hear her here home hour house how idea in into it
    journey keep kitchen know last late leave letter light like listen little long look make many maybe meet message
    minute money month more morning mother mountain music name near never new next night no north not note nothing
    now number of office old on once one only open or other our over paper park people person photograph place plan
    play please question quiet rain read really red remember right river road room same say school sea season second
    see send she short should sister sleep small so some soon south spring station still stop story street summer sun
    table take talk tea tell that the their then there these they thing think this time to today together tomorrow
    too train travel tree two under until up very visit wait walk want was water way we week well west what when
    where which while white who why will window winter with without word work world would write year yes yesterday you
""".split()  # noqa: SIM905 (two hundred quoted words are no easier to read)


def texts(count: int, *, seed: int) -> list[str]:
    """Return `count` different texts; equal seeds give equal texts."""
    random = Random(seed)
    return [" ".join(random.choices(WORDS, k=random.randint(WORDS_MIN, WORDS_MAX))) for _ in range(count)]

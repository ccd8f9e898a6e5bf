"""Commands that cannot be followed are told of in one sentence that says what to do next."""

import pytest

from tests.support.misfortunes import Case, Scene, alone, doing, importing, port_taken, require_told, without_home

CASES = (
    Case(
        "a port is in use",
        port_taken,
        1,
        "Cannot listen on 127.0.0.1:47111: Address already in use. Choose another address with --listen.",
    ),
    Case(
        "a peer is nonsense",
        doing("run", "--peer", "the desk"),
        2,
        "'the desk' is not an address; write host:port, for example 192.168.1.7:4711.",
    ),
    Case(
        "a peer is empty",
        doing("run", "--peer", ""),
        2,
        "'' is not an address; write host:port, for example 192.168.1.7:4711.",
    ),
    Case(
        "a port is too great",
        doing("run", "--listen", "127.0.0.1:70000"),
        2,
        "'127.0.0.1:70000' is not an address; write host:port, for example 192.168.1.7:4711.",
    ),
    Case(
        "the local API shall be open to all",
        doing("run", "--api", "0.0.0.0:0"),
        2,
        "The local API listens on this device alone; 0.0.0.0 is not a loopback address.",
    ),
    Case(
        "an id is none",
        doing("show", "the key"),
        2,
        "'the key': this is not an id; an id looks like 0192f0c1-5a3e-7b1c-8d2e-3f4a5b6c7d8e, or its first 4 "
        "digits or more.",
    ),
    Case(
        "an id is unknown",
        doing("show", "0192f0c1-5a3e-7b1c-8d2e-3f4a5b6c7d8e"),
        2,
        "There is no record 0192f0c1-5a3e-7b1c-8d2e-3f4a5b6c7d8e on this device; it was forgotten or has not "
        "arrived yet.",
    ),
    Case(
        "no id begins so",
        doing("forget", "ffff"),
        2,
        "No record on this device has an id that begins with ffff; `nuthatch list` shows ids.",
    ),
    Case(
        "several ids begin so",
        lambda scene: ("edit", scene.memory_ids[0][:4], "--text", "x", *scene.opens),
        2,
        "The ids of several records begin with {digits}: {memory 1}, {memory 2}. Give more digits of the one.",
    ),
    Case(
        "a conflict is unknown",
        doing("conflicts", "show", "abcd"),
        2,
        "No conflict abcd is kept on this device; it may be long settled, or its record gone.",
    ),
    Case(
        "nothing can be undone",
        lambda scene: ("undo", scene.memory_ids[0], *scene.opens),
        5,
        "Nothing was changed in this record in the last 90 days.",
    ),
    Case(
        "the file to import is absent",
        doing("import", "/absent.json"),
        1,
        "There is no file /absent.json; nothing was imported.",
    ),
    Case(
        "a line to import is malformed",
        importing("memories.jsonl", '{"content": "good"}\n{"content": "bad", "tags": "none"}\n'),
        1,
        "memories.jsonl, line 2, field tags: this is no list of texts. Nothing was imported.",
    ),
    Case(
        "what a file holds is unknown",
        importing("notes.bin", "\x01\x02"),
        1,
        "What notes.bin holds was not recognised. If you know it, name it with --format: chatgpt, claude, "
        "csv, jsonl, locomo, markdown, mcp-memory, mem0, pam. Nothing was imported.",
    ),
    Case(
        "an export has nowhere to go",
        doing("export", "--output", "/absent/x"),
        1,
        "/absent/x cannot be written: No such file or directory. Choose another --output.",
    ),
    Case(
        "markdown shall go to standard output",
        doing("export", "--format", "markdown"),
        2,
        "Markdown is a folder of files; name a new one with --output.",
    ),
    Case(
        "no command is given",
        alone(),
        2,
        "Which command? None was given.",
    ),
    Case(
        "a command is misspelt",
        alone("lisst"),
        2,
        "No such command 'lisst'. Did you mean 'list'? See `nuthatch --help`.",
    ),
    Case(
        "an option is unknown",
        alone("recall", "x", "--colour", "red"),
        2,
        "No such option: --colour. See `nuthatch recall --help`.",
    ),
    Case(
        "an argument is missing",
        alone("recall"),
        2,
        "Missing argument 'QUERY'. See `nuthatch recall --help`.",
    ),
    Case(
        "a number is too small",
        alone("list", "-k", "0"),
        2,
        "Invalid value for '-k' / '--limit': Input should be greater than or equal to 1. See `nuthatch list --help`.",
    ),
    Case(
        "a choice is none",
        alone("conflicts", "resolve", "k", "--keep", "both"),
        2,
        "Invalid value for '--keep': 'both' is not one of 'shown', 'other'. See `nuthatch conflicts resolve --help`.",
    ),
    Case(
        "a code is garbled",
        without_home("join", "NUT1:TYPO", "--name", "x"),
        2,
        "This is not a whole pairing code; please copy all of it again.",
    ),
    Case(
        "a typed code is too short",
        without_home("join", "ABCD", "--name", "x"),
        2,
        "This code has 4 characters instead of 35; please check it.",
    ),
    Case(
        "a name cannot be",
        without_home("init", "--name", ""),
        2,
        "A device's name has 1 to 64 visible characters, no space at either end, no line break, and no "
        "character that hides or turns the direction of writing.",
    ),
    Case(
        "an argument is no text",
        alone("remember", "\udcff"),
        2,
        "An argument is no valid UTF-8 text. Give the text in a file, or type it in this terminal's encoding.",
    ),
    Case(
        "a memory is empty",
        doing("remember", " "),
        2,
        "A memory needs a content: the one given is empty.",
    ),
    Case(
        "a statement is no query",
        doing("sql", "DROP TABLE memories"),
        5,
        "A statement begins with SELECT, INSERT, UPDATE, DELETE, WITH; this one begins with 'DROP'.",
    ),
    Case(
        "a statement names no column",
        doing("sql", "SELECT x FROM memories"),
        1,
        "The store refused the operation: no such column: x.",
    ),
    Case(
        "a parameter is no JSON",
        doing("sql", "SELECT ?", "--param", "tea"),
        2,
        "--param tea is not JSON; a text needs its quotes, for example --param '\"tea\"'.",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.when)
def test_the_person_reads_what_to_do_when(case: Case, scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    require_told(case, scene, capfd)

"""The pages of the manual, by the words of a command; a test types every example."""

from collections.abc import Mapping

from node.cli.failures import FAILED, INTERRUPTED, READER_GONE
from node.cli.manual.page import (
    DONE,
    LOCKED,
    NO_NODE,
    REFUSED,
    USAGE,
    USUAL_CODES,
    Page,
    page,
)

_WITH_REFUSAL = (*USUAL_CODES, REFUSED)
_OFFLINE_CODES = (DONE, FAILED, USAGE)

_BEGIN: Mapping[tuple[str, ...], Page] = {
    ("init",): page(
        ("nuthatch init --name laptop", "Asks for the passphrases and makes this your first device."),
        (
            "nuthatch --home /srv/memory init --name server --passphrase-file /run/secrets/passphrase",
            "The same without a person, in a directory of its own.",
        ),
        notes="The recovery code is shown once and kept nowhere: write it down; two groups of it are asked for. "
        "Further devices are not made with init but with join.",
        codes=(DONE, FAILED, USAGE, LOCKED, REFUSED),
        meanings={REFUSED: "there is a device in this home already; nothing was changed"},
    ),
    ("run",): page(
        ("nuthatch run", "Asks for the passphrase and runs the node in this terminal."),
        ("nuthatch run --listen 0.0.0.0:4711 --peer desk.lan:4711", "With a fixed port, and calling another device."),
        ("nuthatch --json run --passphrase-file -", "For a program that pipes the passphrase in and reads events."),
        notes="Finds your other devices in the same network by itself, once there are any; where multicast is blocked, "
        "nuthatch status says so, and --peer names one. Settings in config.toml say the same as the options, for "
        "every start: see nuthatch config. To "
        "start it with your session: see nuthatch service. Ctrl-C and SIGTERM stop it in good order. "
        "Files in the home: store.db, device.key, config.toml, node.log, and while it runs api.json.",
        codes=(DONE, FAILED, USAGE, LOCKED),
        meanings={
            DONE: "it was told to stop, and did",
            FAILED: "failed: another process owns the home, a port is in use",
        },
    ),
    ("demo",): page(
        ("nuthatch demo", "Three devices in a temporary directory, with a sample conversation."),
        ("nuthatch demo --keep", "Leaves the three homes there, to look into."),
        codes=_OFFLINE_CODES,
    ),
}
_DEVICES: Mapping[tuple[str, ...], Page] = {
    ("pair",): page(
        ("nuthatch pair", "Shows a code, then asks whether six digits are the same on both screens."),
        ("nuthatch pair --qr-png code.png", "Writes the QR code as a picture as well, for as long as it is good."),
        notes="The code is valid once, for five minutes, for devices in the same network. The new device will read all "
        "of your memory. Only the owner's passphrase adds a device: a thief with this unlocked device cannot.",
        codes=_WITH_REFUSAL,
        meanings={REFUSED: "the answer was no, the code was tried wrongly three times, or the time was over"},
    ),
    ("join",): page(
        ("nuthatch join", "Asks for the code that pair shows on the other device, a name and a passphrase."),
        ("nuthatch join NUT1:… --name phone", "Joins with the code as it was scanned or pasted."),
        ("nuthatch join 'V3K7 …' --name phone", "The typed code: the other device is found in the same network."),
        ("nuthatch join NUT1:… --name phone --peer 192.168.1.7:4711", "Where the two do not find each other."),
        notes="Capitals, hyphens and spaces of a typed code do not matter, nor O for 0 or I and L for 1; a mistake is "
        "told by the group of five characters in which it is. A code on the command line can be seen by other programs "
        "of this machine for the moment in which it is good: leave it out, or give - to pipe it in.",
        codes=(DONE, FAILED, USAGE, LOCKED, REFUSED),
        meanings={REFUSED: "the code was not taken, somebody said no, or a device is here already"},
    ),
    ("devices",): page(
        ("nuthatch devices", "Lists your devices, this one among them."),
    ),
    ("status",): page(
        ("nuthatch status", "Shows each device, whether it agrees, and if not why not."),
        ("nuthatch status --wait 30", "Waits up to 30 seconds until all agree."),
        notes="In sync means equal frontiers and equal digests of all rows, compared just now.",
        meanings={FAILED: "failed; with --wait, some device was not in sync by then"},
    ),
    ("doctor",): page(
        ("nuthatch doctor", "Examines keys, files, disk, clock, network, devices."),
        ("nuthatch doctor --scrub", "Compares every row with its hash as well."),
        ("nuthatch doctor --repair", "Mends what can be mended without losing anything."),
        notes="Each finding says what mends it. A home that cannot be opened is examined from outside.",
        meanings={FAILED: "something is broken; the findings say what"},
        codes=(DONE, FAILED, USAGE, LOCKED),
    ),
}
_MEMORY: Mapping[tuple[str, ...], Page] = {
    ("remember",): page(
        ("nuthatch remember 'The spare key is with Ana'", "Keeps a text, on all your devices."),
        ("nuthatch remember - --tag recipe < soup.txt", "Keeps what standard input holds, with a tag."),
    ),
    ("recall",): page(
        ("nuthatch recall 'spare key'", "Finds memories and messages, best first."),
        ("nuthatch --json recall 'spare key' --limit 3", "For a program: one JSON object."),
        meanings={DONE: "done, also if nothing was found"},
    ),
    ("list",): page(
        ("nuthatch list", "The newest 50 memories."),
        ("nuthatch list --namespace work --limit 10", "The newest 10 of one group."),
    ),
    ("show",): page(
        ("nuthatch show 019a8e5c", "Everything of a record, and the version for edit --base."),
    ),
    ("edit",): page(
        ("nuthatch edit 019a8e5c --text 'The spare key is with Ben'", "Gives a record a new text."),
        (
            "nuthatch edit 019a8e5c --base VERSION --text - < edited.txt",
            "Keeps what others changed since VERSION.",
        ),
    ),
    ("forget",): page(
        ("nuthatch forget 019a8e5c --dry-run", "Says what would go."),
        ("nuthatch forget 019a8e5c", "Deletes it for good, on all devices."),
        notes="What is forgotten does not come back: not from a device that was away, not by an import.",
    ),
    ("log",): page(
        ("nuthatch log", "What was done lately, on any device."),
        ("nuthatch log 019a8e5c --limit 5", "The last five changes of one record."),
    ),
    ("undo",): page(
        ("nuthatch undo 019a8e5c", "Takes back the latest change of a record."),
        ("nuthatch undo 019a8e5c --to VERSION", "Sets it back to a version that log shows."),
    ),
    ("conflicts",): page(
        ("nuthatch conflicts", "The same as nuthatch conflicts list."),
        notes="Nothing waits for you: all devices show the same version meanwhile.",
    ),
    ("conflicts", "list"): page(
        ("nuthatch conflicts list", "What was written apart and is not settled."),
        ("nuthatch conflicts list --all", "Also what is settled, or was chosen."),
    ),
    ("conflicts", "show"): page(
        ("nuthatch conflicts show 3f2a", "Both versions whole, and how they differ."),
    ),
    ("conflicts", "resolve"): page(
        ("nuthatch conflicts resolve 3f2a --keep other", "Takes the version that is not shown."),
        ("nuthatch conflicts resolve 3f2a --text 'Friday dinner'", "Writes a third one."),
    ),
    ("conflicts", "undo"): page(
        ("nuthatch conflicts undo 3f2a", "Opens the conflict again."),
    ),
}
_DATA: Mapping[tuple[str, ...], Page] = {
    ("import",): page(
        ("nuthatch import conversations.json --dry-run", "Reads and counts, writes nothing."),
        ("nuthatch import conversations.json", "Imports; what is here already is left as it is."),
        notes="A second import adds nothing, on any device, and what you forgot stays forgotten.",
    ),
    ("export",): page(
        ("nuthatch export --output memory.jsonl", "Writes everything to a file that only you can read."),
        ("nuthatch export | zstd > memory.jsonl.zst", "To another program."),
        notes="An export is plain text: keep it where only you can read it.",
    ),
    ("sql",): page(
        ("nuthatch sql 'SELECT id, content FROM memories LIMIT 5'", "Reads."),
        (
            "nuthatch sql 'UPDATE memories SET title = ? WHERE id = ?' --param '\"Keys\"' --param '\"0198\"'",
            "Writes; it replicates like every change.",
        ),
        notes="One statement on your own tables; functions and pragmas that reach files are refused.",
    ),
}
_LIVING: Mapping[tuple[str, ...], Page] = {
    ("service",): page(
        ("nuthatch service", "The same as nuthatch service status."),
        codes=(DONE, FAILED, USAGE, NO_NODE),
        meanings={NO_NODE: "the service is not installed, or does not run"},
    ),
    ("service", "install"): page(
        ("nuthatch service install", "Asks for the passphrase once, and starts the node."),
        ("nuthatch service install --print", "Shows the unit or agent; changes nothing."),
        (
            "nuthatch service install --unlock-with passphrase-file --passphrase-file ~/secret",
            "Reads the passphrase from your file at each start.",
        ),
        notes="The node has to open this device while you are not there. --unlock-with key (the usual way) puts "
        "a random key beside your settings, outside the home: a copy of the home stays closed, a stolen "
        "disk that is not encrypted does not. uninstall makes the key worthless. It is not your "
        "passphrase, and no device can be added with it. No secret stands in the unit, and settings come "
        "from config.toml.",
        codes=(DONE, FAILED, USAGE, LOCKED, REFUSED),
        meanings={FAILED: "the node did not start, or there is no systemd or launchd session; nothing is left behind"},
    ),
    ("service", "uninstall"): page(
        ("nuthatch service uninstall", "Stops the node; its key opens nothing any more."), codes=_OFFLINE_CODES
    ),
    ("service", "status"): page(
        ("nuthatch service status", "Whether it is installed, and runs."),
        codes=(DONE, FAILED, USAGE, NO_NODE),
        meanings={NO_NODE: "the service is not installed, or does not run"},
    ),
    ("config",): page(("nuthatch config", "The same as nuthatch config show."), codes=_OFFLINE_CODES),
    ("config", "show"): page(
        ("nuthatch config show", "Every setting with its meaning."),
        ("nuthatch config show run.listen", "One of them."),
        notes="An option counts before a variable of the environment (NUTHATCH_RUN_LISTEN), that before the "
        "file, and the file before the default. A name that is no setting is an error.",
        codes=_OFFLINE_CODES,
    ),
    ("config", "set"): page(
        ("nuthatch config set run.listen 0.0.0.0:4711", "Listens on a port that a firewall can know."),
        ("nuthatch config set run.peers desk.lan:4711 192.168.1.7:4711", "Two addresses to keep calling."),
        notes="Comments in the file stay. A node that runs follows it from its next start on.",
        codes=_OFFLINE_CODES,
    ),
    ("config", "unset"): page(
        ("nuthatch config unset run.listen", "Lets the default count again."), codes=_OFFLINE_CODES
    ),
    ("config", "path"): page(("nuthatch config path", "For $EDITOR."), codes=_OFFLINE_CODES),
    ("events",): page(
        ("nuthatch events", "Tells what happens until Ctrl-C, also over a restart of the node."),
        ("nuthatch --json events --kind changed --count 1", "Waits for the next change, for a script."),
        notes="Events are hints: after `following`, ask status for what happened before. Programs get the same "
        "at GET /v1/events of the local API, as server-sent events.",
        codes=(DONE, FAILED, USAGE, NO_NODE),
        meanings={DONE: "enough events were told, or Ctrl-C"},
    ),
    ("metrics",): page(
        ("nuthatch metrics", "All figures in Prometheus' text format."),
        ("nuthatch metrics > /var/lib/node_exporter/nuthatch.prom", "For a collector of text files."),
        notes="A running node serves the same at GET /metrics of the local API: give Prometheus the token file "
        "api.token of the home as credentials_file, and the API a fixed port with config set run.api.",
    ),
    ("completion",): page(
        ("nuthatch completion bash > ~/.local/share/bash-completion/completions/nuthatch", "For bash, once."),
        ("nuthatch completion zsh > ~/.zfunc/_nuthatch", "For zsh, with ~/.zfunc in fpath before compinit."),
        ("nuthatch completion fish > ~/.config/fish/completions/nuthatch.fish", "For fish, once."),
        notes="The shell then asks this very program what can follow; your memory is not opened for it.",
        codes=(DONE, USAGE),
    ),
}
PAGES: Mapping[tuple[str, ...], Page] = {**_BEGIN, **_DEVICES, **_MEMORY, **_DATA, **_LIVING}
TOP = page(
    ("nuthatch init --name laptop", "Makes this your first device."),
    ("nuthatch run", "Keeps it in sync and serves its programs."),
    ("nuthatch pair", "Adds another device, on which you type join."),
    ("nuthatch --json recall 'spare key'", "Answers a program: one JSON object a line, errors among them."),
    notes="Each command has examples of its own: nuthatch COMMAND --help. The options above may also stand behind "
    "the command. In a pipe nothing is coloured, and one thing stands on one line; COLUMNS says otherwise. "
    "Settings are in config.toml of the home "
    "and in NUTHATCH_ variables: nuthatch config.",
    codes=(*_WITH_REFUSAL, INTERRUPTED, READER_GONE),
)

"""Names of loggers that are treated unlike the others."""

#: What it says goes into the file alone: whoever watches the screen reads it there already, as a sentence.
NOT_ON_SCREEN = "node.shown_otherwise"

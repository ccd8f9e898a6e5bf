"""Writes figures as Prometheus reads them: its text exposition format, version 0.0.4.

Format: prometheus.io/docs/instrumenting/exposition_formats, section "Text-based format".
"""

from node.requests import MetricsReport
from node.requests.metrics import Figure, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_INTEGERS_EXACT_MAX = 2**53


def exposition(report: MetricsReport) -> str:
    """Return all figures as text, each line ended by a line feed."""
    return "".join(line + "\n" for figure in report.figures for line in _lines(figure))


def _lines(figure: Figure) -> list[str]:
    says = figure.says.replace("\\", "\\\\").replace("\n", "\\n")
    head = [f"# HELP {figure.name} {says}", f"# TYPE {figure.name} {figure.kind}"]
    return head + [_sample(figure.name, sample) for sample in figure.samples]


def _sample(name: str, sample: Sample) -> str:
    whole = f"{name}_{sample.part}" if sample.part else name
    labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in sample.labels.items())
    return f"{whole}{{{labels}}} {_number(sample.value)}" if labels else f"{whole} {_number(sample.value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    is_whole = float(value).is_integer() and abs(value) <= _INTEGERS_EXACT_MAX
    return str(int(value)) if is_whole else repr(float(value))

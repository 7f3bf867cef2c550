"""Numbers of a report as text: scores, bytes, counts."""

from jgc.study.rows import FRACTION_METRICS

_NAMES = {"roc_auc": "ROC-AUC", "mae": "MAE", "rmse": "RMSE", "macro_f1": "macro-F1"}


def metric_name(metric: str) -> str:
    """The metric as a reader sees it, with its unit.

    Example:
        >>> metric_name("roc_auc"), metric_name("mae")
        ('ROC-AUC %', 'MAE')
    """
    name = _NAMES.get(metric, metric.replace("_", " "))
    return f"{name} %" if metric in FRACTION_METRICS else name


def score(value: float, metric: str, digits: int = 2) -> str:
    """A score in the unit of `metric_name`: per cent for fractions, two digits more for errors.

    Example:
        >>> score(0.8155, "accuracy"), score(0.71234, "mae")
        ('81.55', '0.7123')
    """
    is_fraction = metric in FRACTION_METRICS
    return f"{100 * value:.{digits}f}" if is_fraction else f"{value:.{digits + 2}f}"


def n_bytes(value: float) -> str:
    """Bytes with a decimal prefix, three digits.

    Example:
        >>> n_bytes(812), n_bytes(92_240), n_bytes(3_500_000)
        ('812 B', '92.2 kB', '3.50 MB')
    """
    return f"{value:.0f} B" if value < 1000 else f"{count(value)}B"


def count(value: float) -> str:
    """A count with a decimal prefix, three digits.

    Example:
        >>> count(812), count(12_290_000), count(2e15)
        ('812', '12.3 M', '2000 T')
    """
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        # Half a digit below the power of ten still rounds up to it.
        if value >= 0.9995 * 10**power:
            scaled = value / 10**power
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f} {prefix}"
    return f"{value:.3g}"

"""How the labels of a training set are read from its y.

What may be given as labels at all is in `labels`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfmlselect.labels import Labels, check_label_names, check_labels, names_in


@dataclasses.dataclass(frozen=True)
class LabelReading:
    """What the user said of the labels beside y itself.

    Attributes:
        names: q names; None: those that y has itself, if it has any.
        missing: what stands in y where a label is unknown; None: all labels are known.
    """

    names: Sequence[str] | None = None
    missing: float | None = None

    def labels(self, y: Any) -> Labels:
        """The labels of all samples, of the y of all of them.

        Raises:
            ValueError: y holds no valid labels, or there are not q names.
        """
        found = check_labels(y, missing=self.missing)
        return found._replace(names=check_label_names(self.names, found.q) or names_in(y))


PLAIN = LabelReading()  # y is the labels, and nothing more was said

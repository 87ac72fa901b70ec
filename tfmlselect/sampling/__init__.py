"""From a score to an epoch: the pressure law, its decay, and the draw of the batches."""

from tfmlselect.sampling.draws import draw_epoch
from tfmlselect.sampling.pressure import decayed_pressure, pressure_probabilities

__all__ = ["decayed_pressure", "draw_epoch", "pressure_probabilities"]


def __dir__() -> list[str]:
    return [*__all__]

"""Which traffic an order asks for."""

from loopwise.generator.pairs import PairTraffic
from loopwise.generator.protocol import Order
from loopwise.generator.recorder import Recorder
from loopwise.generator.traffic import DeclaredTraffic, ScriptedTraffic, Traffic


def traffic_of(order: Order, recorder: Recorder) -> Traffic:
    """The traffic that an order asks for.

    Raises:
        GeneratorError: its Locust file can't be used.
    """
    if order.rival is not None:
        return PairTraffic(order, recorder)
    return ScriptedTraffic(order, recorder) if order.scenario else DeclaredTraffic(order, recorder)

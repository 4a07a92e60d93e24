"""The example deployed into the emulator, and the `dw` command that operates it."""

from pathlib import Path

from apply import Emulator
from deployed import Deployed
from emulator import REGION
from engine import Engine

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme_ads"


class DeployedExample(Deployed):
    """As `Deployed`; the example, under a stack of its own."""

    def __init__(self, aws, stack, folder):
        engine = Engine(Emulator(aws.url, region=REGION), project="acme-ads", stack=stack)
        self.settle(aws, folder, engine.run(EXAMPLE, config={"acme-ads:dev": "false"}))

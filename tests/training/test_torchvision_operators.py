"""torchvision imports after the declaration, whether or not its own operators load."""

import subprocess
import sys

PROGRAM = """
from training.torchvision_operators import declare_missing_operators
library = declare_missing_operators()
again = declare_missing_operators()
import torchvision
if (library is None) != torchvision.extension._has_ops():
    raise SystemExit("operators were declared although they load, or the other way round")
"""


def test_torchvision_imports_in_a_fresh_process_after_the_declarations() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")

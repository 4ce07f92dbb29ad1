"""The gateway: decodes an upload, encodes it, looks labels up in the label banks and answers. Never imports torch."""

import os
import sys

# Both engines would write an identifier into the home folder and tell an analytics service that somebody uses them:
# OpenVINO when it is imported, unless its reporter is not there, and ONNX Runtime, unless it is asked not to.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

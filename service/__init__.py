"""The gateway: decodes an upload, encodes it, looks labels up in the label banks and answers. Never imports torch."""

import sys

# Importing OpenVINO would write an identifier into the home folder and tell an analytics service that somebody uses it.
# Without its reporter it does neither.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

"""A worker whose libraries start a thread before they are forked."""

import threading
import time

from service.decoding.worker import work

__all__ = ["work"]

threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

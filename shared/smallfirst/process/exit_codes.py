"""What a process exits with, where the number tells whoever started it what to do."""

import signal
from typing import Final

#: Its settings are wrong, and are still wrong at the next start (EX_CONFIG of sysexits.h).
EXIT_CONFIG: Final = 78
#: Its engine died under it, or did not start (EX_SOFTWARE of sysexits.h).
EXIT_ENGINE_DEAD: Final = 70
#: It was told to go, and left without finishing: what a shell says of who SIGTERM has ended.
EXIT_TOLD: Final = 128 + signal.SIGTERM

"""An app without a page: `toy_app.py HOME` runs the queue until it is killed or its stdin closes. For the tests of the supervisor."""

import sys
from pathlib import Path

from engine.store import Store
from engine.supervisor import Supervisor

if __name__ == "__main__":
    supervisor = Supervisor(Store(Path(sys.argv[1])), (sys.executable, str(Path(__file__).with_name("toy_worker.py"))))
    supervisor.start()
    print("ready", flush=True)
    sys.stdin.read()
    supervisor.close()

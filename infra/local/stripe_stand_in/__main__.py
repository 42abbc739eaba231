"""`python -m infra.local.stripe_stand_in`: the stand-in in the foreground."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading

from infra.local.stripe_stand_in.core import StandIn
from infra.local.stripe_stand_in.server import PortInUseError, StandInServer


def main(arguments: list[str] | None = None) -> int:
    """Serves until interrupted; 2 when the port is taken."""
    parser = argparse.ArgumentParser(prog="stripe_stand_in", description=__doc__)
    parser.add_argument("--port", type=int, default=8010)
    parser.add_argument("--state-file", help="keep the state here; memory only without it")
    parser.add_argument("--seed", help="deterministic ids")
    parser.add_argument("--webhook-url", help="register this endpoint for every event")
    parser.add_argument("--webhook-secret", help="its signing secret; generated without it")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if given.verbose else logging.INFO,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )
    stand_in = StandIn(
        given.state_file,
        seed=given.seed,
        webhook_url=given.webhook_url,
        webhook_secret=given.webhook_secret,
    )
    server = StandInServer(stand_in, port=given.port)
    try:
        server.start()
    except PortInUseError as taken:
        print(taken, file=sys.stderr)
        return 2
    print(f"Stripe stand-in: {server.url}", flush=True)
    if stand_in.webhook_secret:
        print(f"Webhook secret:  {stand_in.webhook_secret}", flush=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    server.stop()
    stand_in.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

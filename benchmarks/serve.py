"""A server under load: several clients at once, on this machine alone.

    python -m benchmarks.serve --detector FOLDER --audio FOLDER [--clients 8] [--write]

`anomalous-sound serve` is a process of its own. Each client sends the clips of the folder again and
again, one at a time, and the latency of every request is taken from outside. Resident memory is
read every second. Direct calls of `Detector.judge_file`, one after the other and with one thread,
are timed before and after, so that a busy machine shows. Linux only.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import requests

from benchmarks.configuration import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results" / "serve.md"
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


class Load:
    """Clients that send until the time is over."""

    def __init__(self, url: str, bodies: list[bytes], machine_id: str, until: float):
        self.url, self.bodies, self.until = f"{url}/judge", bodies, until
        self.asked = {"machine_id": machine_id}
        self.seconds, self.problems = [], []

    def client(self, number: int) -> None:
        session = requests.Session()
        session.trust_env = False
        headers = {"Content-Type": "audio/wav"}
        for body in itertools.islice(itertools.cycle(self.bodies), number, None):
            if time.perf_counter() >= self.until:
                return
            started = time.perf_counter()
            try:
                answer = session.post(
                    self.url, data=body, params=self.asked, headers=headers, timeout=120
                )
            except requests.RequestException as error:
                self.problems.append(str(error))
                continue
            self.seconds.append(time.perf_counter() - started)
            if answer.status_code != 200 or len(answer.json()["verdicts"]) != 1:
                self.problems.append(answer.text)


def direct(folder: Path, files: list[Path], machine_id: str, calls: int) -> list[float]:
    import torch

    from anomalous_sound import Detector

    torch.set_num_threads(1)
    detector, seconds = Detector.load(folder), []
    for file in itertools.islice(itertools.cycle(files), calls + 1):
        started = time.perf_counter()
        detector.judge_file(file, machine_id=machine_id)
        seconds.append(time.perf_counter() - started)
    return seconds[1:]  # the first imports what it needs


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB


def row(name: str, seconds: list[float]) -> str:
    median, p99 = statistics.median(seconds), np.percentile(seconds, 99)
    return f"| {name} | {len(seconds)} | {1000 * median:.0f} | {1000 * p99:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--audio", type=Path, required=True, help="a folder of clips")
    parser.add_argument("--machine-id", default="00")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--write", action="store_true", help=f"also to results/{RESULTS.name}")
    given = parser.parse_args()
    files = sorted(given.audio.rglob("*.wav"))[:20]
    before = direct(given.detector, files, given.machine_id, 20)
    command = [sys.executable, "-m", "anomalous_sound.command", "serve", "--port", "0"]
    server = subprocess.Popen(
        [*command, "--detector", str(given.detector)], stdout=subprocess.PIPE, text=True
    )
    try:
        url = re.search(r"http://[\d.]+:\d+", server.stdout.readline())[0]
        load = Load(
            *(url, [file.read_bytes() for file in files], given.machine_id),
            until=time.perf_counter() + given.seconds,
        )
        clients = [
            threading.Thread(target=load.client, args=(number,)) for number in range(given.clients)
        ]
        started, memory, waiting_s = time.perf_counter(), [], []
        for client in clients:
            client.start()
        while any(client.is_alive() for client in clients):
            memory.append(resident_mb(server.pid))
            asked = time.perf_counter()
            requests.get(f"{url}/health", timeout=60, proxies={"http": ""}).raise_for_status()
            waiting_s.append(time.perf_counter() - asked)
            time.sleep(1)
        wall = time.perf_counter() - started
        busy = os.getloadavg()
    finally:
        server.terminate()
        code = server.wait(60)
    after = direct(given.detector, files, given.machine_id, 20)
    tenth = max(1, len(memory) // 10)
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{given.clients} clients for {wall:.0f} s on loopback, each with one request at a time; "
        f"clips of one length from {given.audio.name}. Load average of the machine at the end: "
        f"{busy[0]:.1f} over one minute, {busy[2]:.1f} over fifteen"
        + (
            "; far above the number of cores, other work has shared it."
            if busy[0] > 2 * (os.cpu_count() or 1)
            else "."
        ),
        "",
        "| | requests | median, ms | 99th percentile, ms |",
        "|---|---:|---:|---:|",
        row("direct call, before", before),
        row("`POST /judge`", load.seconds),
        row("direct call, after", after),
        row("`GET /health` meanwhile", waiting_s),
        "",
        f"- Clips judged: {len(load.seconds) / wall:.2f} a second.",
        f"- Errors: {len(load.problems)}{': ' + load.problems[0] if load.problems else ''}.",
        f"- Resident memory of the server, mean: {statistics.mean(memory[tenth : 2 * tenth]):.0f} "
        f"MB in the second tenth of the time, {statistics.mean(memory[-tenth:]):.0f} MB in the "
        f"last; at most {max(memory):.0f} MB.",
        f"- Exit code after SIGTERM: {code}.",
    ]
    if given.write:
        RESULTS.write_text("# A server under load\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""A throw-away Slurm in a folder: controller, three node daemons, munge; no systemd, no root; slurmdbd if asked for.

    python -m tests.slurm.cluster FOLDER [accounting]

runs it until standard input ends, and then takes down everything that it started: also after Ctrl-C in the tests, and
when they are killed. Tests use `Cluster`, which does that and talks to it. Debian's packages let several slurmd live on
one machine, so these are three nodes that can be drained one by one:

    c1       16 CPUs                   partitions batch and, pre-empted by it, scavenge
    g1, g2   16 CPUs, 2 h100 GPUs      partition accelerated

The GPUs are links to /dev/null and /dev/zero, as Slurm wants character devices: what it hands out is real, using it is
not. Memory limits need no cgroups: Slurm samples the jobs every second and ends those above.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.slurm.accounting import CLUSTER, in_slurm_conf, start_accounting
from tests.slurm.ports import reserve_ports

NODES = {
    "c1": "Feature=plain",
    "g1": "Gres=gpu:h100:2 Feature=fast",
    "g2": "Gres=gpu:h100:2 Feature=fast",
}
COMMANDS = ("srun", "sbatch", "squeue", "sinfo", "scancel", "scontrol", "sacct", "sacctmgr")
PACKAGED = "/usr/sbin:/usr/bin:/sbin:/bin"
LONGEST_FOLDER = 70  # unix sockets have paths of at most 107 characters
SUBREAPER = 36  # prctl(2)


def slurm_conf(folder: Path, port: int, accounting: bool) -> str:
    """slurm.conf of a cluster whose ports start at `port`."""
    host = socket.gethostname().split(".")[0]
    user = pwd.getpwuid(os.getuid()).pw_name
    nodes = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port + number} CPUs=16 CoresPerSocket=16 "
        f"RealMemory=500000 {rest} State=UNKNOWN"
        for number, (name, rest) in enumerate(NODES.items(), 2)
    ]
    return "\n".join(
        [
            f"ClusterName={CLUSTER}",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={port + 1}",
            *(f"SlurmUser={user}", f"SlurmdUser={user}"),
            *("AuthType=auth/munge", f"AuthInfo=socket={folder}/munge.socket", "CredType=cred/munge"),
            f"StateSaveLocation={folder}/state",
            f"SlurmdSpoolDir={folder}/spool/%n",
            f"SlurmctldPidFile={folder}/slurmctld.pid",
            f"SlurmdPidFile={folder}/slurmd.%n.pid",
            *(in_slurm_conf(folder, port) if accounting else ["AccountingStorageType=accounting_storage/none"]),
            *("ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none", "SwitchType=switch/none", "MpiDefault=none"),
            *("JobAcctGatherType=jobacct_gather/linux", "JobAcctGatherFrequency=task=1"),
            "JobAcctGatherParams=OverMemoryKill",
            "SchedulerType=sched/backfill",
            "SchedulerParameters=sched_interval=2,sched_min_interval=200000,bf_interval=5,batch_sched_delay=0",
            *("SelectType=select/cons_tres", "SelectTypeParameters=CR_Core_Memory", "GresTypes=gpu"),
            "SlurmdParameters=config_overrides",  # nodes are larger than the machine
            *("PreemptType=preempt/partition_prio", "PreemptMode=REQUEUE"),
            "MinJobAge=3600",  # finished jobs can be asked about for that long
            "JobRequeue=0",  # unless they ask for it
            "MaxArraySize=1001",
            *("KillWait=2", "SlurmdTimeout=30", "SlurmctldTimeout=30", "ReturnToService=2"),
            "PropagateResourceLimitsExcept=ALL",
            *nodes,
            "PartitionName=batch Nodes=c1 Default=YES MaxTime=24:00:00 PriorityTier=10 PreemptMode=OFF",
            "PartitionName=scavenge Nodes=c1 MaxTime=24:00:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0",
            "PartitionName=accelerated Nodes=g[1-2] MaxTime=48:00:00 PriorityTier=10 PreemptMode=OFF",
            "",
        ]
    )


def configure(folder: Path, port: int, accounting: bool) -> None:
    """All files that the daemons read, and `bin/` with the commands: Slurm's own, told where this cluster is.

    Through PATH, because the plugin takes SLURM_CONF out of its jobs' environment.
    """
    for name in ("state", "spool", "log", "bin", "dev"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "munge.key").touch(mode=0o600)
    (folder / "munge.key").write_bytes(os.urandom(256))
    (folder / "slurm.conf").write_text(slurm_conf(folder, port, accounting))
    for number, device in enumerate(("null", "zero")):
        (folder / f"dev/nvidia{number}").symlink_to(f"/dev/{device}")
    (folder / "gres.conf").write_text(f"NodeName=g[1-2] Name=gpu Type=h100 File={folder}/dev/nvidia[0-1]\n")
    version = subprocess.run(
        ["slurmd", "-V"], env={"PATH": PACKAGED}, capture_output=True, text=True, check=True
    ).stdout
    major = int(re.findall(r"\d+", version)[0])
    plugin = "disabled" if major >= 23 else "cgroup/v1"  # it is set up though nothing uses it
    (folder / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
    told = f"SLURM_CONF={folder}/slurm.conf exec /usr/bin"
    for name in COMMANDS:
        command = folder / "bin" / name
        command.write_text(f'#!/bin/sh\n{told}/{name} "$@"\n')
        command.chmod(0o755)


class Daemons:
    """The processes of a cluster, started and ended by the process that holds this."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str) -> None:
        environment = {"PATH": PACKAGED, "SLURM_CONF": f"{self.folder}/slurm.conf"}
        with (self.folder / f"log/{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def start_controller(self, *options: str) -> None:
        self.start("slurmctld", "slurmctld", "-D", "-f", f"{self.folder}/slurm.conf", *options)

    def start_all(self, port: int, accounting: bool) -> None:
        """Raises `RuntimeError` if a daemon dies or the nodes are not idle within 30 s."""
        munge = (f"--{kind}={self.folder}/munge.{kind}" for kind in ("socket", "pid-file", "log-file", "seed-file"))
        self.start("munged", "munged", "--foreground", "--force", f"--key-file={self.folder}/munge.key", *munge)
        self.until(lambda: (self.folder / "munge.socket").exists())
        if accounting:
            start_accounting(self, self.folder, port)
        self.start_controller("-c")
        for name in NODES:
            self.start(name, "slurmd", "-D", "-N", name, "-f", f"{self.folder}/slurm.conf")
        self.until(lambda: set(self.ask("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split()) == set(NODES))

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not condition():
            dead = [name for name, process in self.processes.items() if process.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "\n".join(log.read_text() for log in sorted((self.folder / "log").iterdir()))
                raise RuntimeError(f"Slurm did not start; {', '.join(dead) or 'nothing'} ended:\n{logs}")
            time.sleep(0.05)

    def ask(self, name: str, *words: str) -> str:
        run = subprocess.run([self.folder / "bin" / name, *words], capture_output=True, text=True, timeout=60)
        return run.stdout

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def end_all(self) -> None:
        """Jobs first, while their nodes can still end them; then the daemons; then whatever was left of jobs."""
        if "slurmctld" in self.processes and self.ask("squeue", "-h"):
            self.ask("scancel", "--user", str(os.getuid()))
            end = time.monotonic() + 10
            while self.ask("squeue", "-h") and time.monotonic() < end:
                time.sleep(0.1)
        for name in reversed(list(self.processes)):
            self.end(name)
        while left := children():
            for pid in left:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def children() -> list[int]:
    """Processes whose parent is this one; orphans of its children are among them (it is their reaper)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append(int(stat.parent.name))
    return found


def supervise(folder: Path, accounting: bool) -> None:
    """Run a cluster; obey `stop`, `start` and `forget` (of the controller) from standard input, until it ends."""
    if len(str(folder)) > LONGEST_FOLDER:
        raise SystemExit(f"{folder}: longer than {LONGEST_FOLDER} characters, too long for unix sockets")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    daemons = Daemons(folder)
    port, sign = reserve_ports(folder)
    with sign:
        configure(folder, port, accounting)
        try:
            daemons.start_all(port, accounting)
            print("ready", flush=True)
            for line in sys.stdin:
                match line.strip():
                    case "stop":
                        daemons.end("slurmctld")
                    case "start":
                        daemons.start_controller()
                    case "forget":
                        daemons.start_controller("-c")
                print("done", flush=True)
        finally:
            daemons.end_all()


class Cluster:
    """A running cluster and what tests ask it."""

    def __init__(self, folder: Path, accounting: bool = False) -> None:
        """Raises `RuntimeError`, with the reason on standard error, if it does not start."""
        self.folder = folder
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "tests.slurm.cluster", str(folder), *(["accounting"] if accounting else [])],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.supervisor.stdin and self.supervisor.stdout
        self._input, self._output = self.supervisor.stdin, self.supervisor.stdout
        if self._output.readline().strip() != "ready":
            self.stop()
            raise RuntimeError("no Slurm: see the error above")

    def stop(self) -> None:
        self._input.close()
        self.supervisor.wait(60)
        self._output.close()

    def environment(self, **more: str) -> Mapping[str, str]:
        """That of a user of this cluster, without the settings of the machine's own."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "POLYPRUNE"))}
        path = f"{self.folder}/bin:{Path(sys.executable).parent}:{kept['PATH']}"
        return {**kept, "PATH": path, **more}

    def run(self, *command: str, check: bool = True) -> str:
        """What one of Slurm's commands prints."""
        return subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, timeout=60, check=check
        ).stdout

    def jobs(self) -> list[dict[str, str]]:
        """All jobs, finished ones of the last minutes too, as `scontrol show job` names their properties."""
        lines = self.run("scontrol", "--oneliner", "show", "job").splitlines()
        jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines if line.startswith("JobId=")]
        return sorted(jobs, key=lambda job: int(job["JobId"]))

    @contextlib.contextmanager
    def set_back(self, what: str, now: str, after: str) -> Iterator[None]:
        """A partition or node is changed for a while: `scontrol update WHAT NOW`, and in the end `… AFTER`.

        A node that is back already, as its daemon has answered, refuses to be resumed.
        """
        self.run("scontrol", "update", what, *now.split())
        try:
            yield
        finally:
            self.run("scontrol", "update", what, *after.split(), check=after != "state=resume")

    @contextlib.contextmanager
    def configured(self, **settings: object) -> Iterator[None]:
        """The controller is started again with other values of slurm.conf, and in the end with its own."""
        file = self.folder / "slurm.conf"
        own = changed = file.read_text()
        for name, value in settings.items():
            changed, found = re.subn(rf"(?m)^{name}=.*$", f"{name}={value}", changed)
            assert found == 1, name
        with self.without_controller():
            file.write_text(changed)
        try:
            yield
        finally:
            with self.without_controller():
                file.write_text(own)

    def order(self, word: str) -> None:
        self._input.write(f"{word}\n")
        self._input.flush()
        assert self._output.readline().strip() == "done"

    @contextlib.contextmanager
    def without_controller(self, forgetful: bool = False) -> Iterator[None]:
        """slurmctld is ended, and started again with the state that it saved, or without."""
        self.order("stop")
        try:
            yield
        finally:
            self.order("forget" if forgetful else "start")


if __name__ == "__main__":
    supervise(Path(sys.argv[1]).resolve(), accounting="accounting" in sys.argv[2:])

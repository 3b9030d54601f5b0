"""slurmdbd for the throw-away Slurm of these tests, with a database of its own: accounts, QOS and limits are real.

account lab, of this user       QOS normal, long; one job of the user may be queued with QOS few
"""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.slurm.cluster import Daemons

CLUSTER, ACCOUNT = "test", "lab"
DATABASE_PORT, DAEMON_PORT = 10, 11
"""In the cluster's block of ports."""
_SETTINGS = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={daemon}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
PidFile={folder}/slurmdbd.pid
"""
_SMALL = ("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0")
_GRANTS = "create user slurm@'127.0.0.1' identified by 'slurm'; grant all on slurm_acct_db.* to slurm@'127.0.0.1';"


def in_slurm_conf(folder: Path, port: int) -> list[str]:
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        f"AccountingStorageHost=127.0.0.1\nAccountingStoragePort={port + DAEMON_PORT}",
        f"AccountingStoragePass={folder}/munge.socket",
        "AccountingStorageEnforce=limits,qos",
    ]


def start_accounting(daemons: Daemons, folder: Path, port: int) -> None:
    """The database, slurmdbd, and what is in it; munge must be there."""
    user, database, path = pwd.getpwuid(os.getuid()).pw_name, folder / "database", "/usr/sbin:/usr/bin:/sbin:/bin"
    said = {"env": {"PATH": path}, "capture_output": True, "check": True}
    root = ["--auth-root-authentication-method=normal", "--skip-name-resolve", "--skip-test-db", "--force"]
    subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={database}", f"--user={user}", *root], **said)
    place = (f"--datadir={database}", f"--socket={folder}/database.socket", f"--pid-file={folder}/mariadbd.pid")
    address = ("--bind-address=127.0.0.1", f"--port={port + DATABASE_PORT}", "--skip-name-resolve")
    daemons.start("mariadbd", "mariadbd", "--no-defaults", f"--user={user}", *place, *address, *_SMALL)
    client = ["mariadb", "--no-defaults", "-uroot", f"--socket={folder}/database.socket", "-e"]
    daemons.until(lambda: subprocess.run([*client, ""], env=said["env"], capture_output=True).returncode == 0)
    subprocess.run([*client, _GRANTS], **said)
    settings = folder / "slurmdbd.conf"
    settings.touch(mode=0o600)
    host = socket.gethostname().split(".")[0]
    ports = {"database": port + DATABASE_PORT, "daemon": port + DAEMON_PORT}
    settings.write_text(_SETTINGS.format(folder=folder, host=host, user=user, **ports))
    daemons.start("slurmdbd", "slurmdbd", "-D")
    daemons.until(lambda: "test" in daemons.ask("sacctmgr", "-i", "add", "cluster", CLUSTER))
    for words in (
        f"account {ACCOUNT} Cluster={CLUSTER} Description={ACCOUNT} Organization={ACCOUNT}",
        "qos long",
        "qos few MaxSubmitJobsPerUser=1",
        f"user {user} Account={ACCOUNT} DefaultAccount={ACCOUNT} QOS=normal,long,few DefaultQOS=normal",
    ):
        daemons.ask("sacctmgr", "-i", "add", *words.split())

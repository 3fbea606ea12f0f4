"""The Python jobs of the demo. Runs in runner processes; knows nothing of cronsole."""

import hashlib
import os
import pathlib
import time


def checksum(folder: str) -> dict[str, str]:
    """SHA-256 of every file in a folder."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*")):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        print(found[path.name][:12], path.name)
    return found


def send_email(to: str, subject: str, body: str) -> str:
    """Put a mail into the outbox folder, as a mail program would find it."""
    outbox = pathlib.Path("outbox")
    outbox.mkdir(exist_ok=True)
    name = f"{os.environ['CRONSOLE_RUN_ID']}.eml"
    (outbox / name).write_text(f"To: {to}\nSubject: {subject}\n\n{body}\n", "utf-8")
    time.sleep(0.005)
    return name


def flaky() -> str:
    """The first two attempts fail."""
    attempt = int(os.environ["CRONSOLE_ATTEMPT"])
    if attempt < 3:
        raise ConnectionError(f"the upstream closed the connection (attempt {attempt})")
    return "third time lucky"


def broken() -> None:
    """No attempt succeeds."""
    raise ValueError("invoice 4711 has no customer")

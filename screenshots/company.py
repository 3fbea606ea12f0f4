"""The imaginary shop of the pictures: how long its jobs take, how they fail, what they say. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CONTEXT, NAMESPACE, ZONE = "prod-eu", "shop", "Europe/Berlin"
NOW_MS = 1_795_506_830_000
"""Tuesday, 24 November 2026, 08:53:50 in Berlin."""
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

ENGINES = (
    # id, host, pid, version, up for, slots, MB, lag in ms, queues
    ("worker-1:2114:9f3c", "worker-1", 2114, "0.1.0", 3 * HOUR + 32 * MINUTE, 16, 118.4, 1.2,
     ("billing", "default", "mail", "ops", "orders", "search")),
    ("worker-2:1873:04be", "worker-2", 1873, "0.1.0", 3 * HOUR + 31 * MINUTE, 16, 112.9, 0.9,
     ("billing", "default", "mail", "ops", "orders", "search")),
    ("media-1:977:c1d0", "media-1", 977, "0.1.0", 12 * DAY, 4, 241.7, 7.8, ("media",)),
)  # fmt: skip
W1, W2, M1 = (engine[0] for engine in ENGINES)

OUTAGE = (NOW_MS - (3 * HOUR + 45 * MINUTE + 50_000), NOW_MS - (3 * HOUR + 32 * MINUTE + 43_000))
"""05:08 to 05:21: both workers were away for an update of the kernel."""
SUPPLIER_DOWN_MS = NOW_MS - 41 * MINUTE
BANK_PAUSE_MS = NOW_MS - 57 * MINUTE
SMTP_DOWN = (NOW_MS - 49 * MINUTE, NOW_MS - 35 * MINUTE)
HANDLERS = {
    # runs a minute: within the last 70 minutes, before that; since when
    "send_email": (13.0, 5.0, 26 * HOUR), "send_push": (6.0, 3.0, 26 * HOUR), "resize_image": (6.0, 1.2, 26 * HOUR),
    "transcode_video": (0.05, 0.05, 3 * DAY),
}  # fmt: skip
BUSY_MS = 70 * MINUTE


@dataclass(frozen=True)
class Way:
    """How a job goes: its seconds, by how much they vary, how often an attempt fails and of what, what it prints."""

    takes_s: float
    varies: float = 0.15
    fails: float = 0.0
    error: tuple[str, str] = ("", "")  # class, line
    says: str = ""
    rss_mb: int = 62


WAYS = {
    "nightly_backup": Way(1480, 0.06, says="""\
dumping shop to /mnt/vault/shop-{day}.dump
pg_dump: last built-in OID is 16383
pg_dump: dumping contents of table "public.orders"
pg_dump: dumping contents of table "public.order_lines"
pg_dump: dumping contents of table "public.events"
41.8 GB written
removed /mnt/vault/shop-{old}.dump
""", rss_mb=88),
    "verify_backup": Way(910, 0.08, says="restored into scratch-2, 214 tables\norders 8,214,077 rows: as it was\n"),
    "cert_expiry": Way(3.4, says="shop.example.com     61 d\nmail.example.com     61 d\npay.example.com      18 d\n"),
    "disk_report": Way(0.3, 0.4, says="/dev/sda2 220G 141G  68G  68% /srv\nvault:/b  2.0T 2.0T 1.1G 100% /mnt/vault\n"),
    "health_check": Way(0.14, 0.5, 0.002, ("TimedOut", "timed out after 5 s"), says="HTTP 200 in 138 ms\n"),
    "import_orders": Way(19, 0.3, 0.01, ("HTTPStatusError", "429 Too Many Requests from api.marketplace.example")),
    "sync_stock": Way(64, 0.2, 0.01, ("KeyError", "'warehouse_7'")),
    "sync_prices": Way(27, 0.2),
    "fraud_scan": Way(48, 0.35),
    "abandoned_carts": Way(112, 0.2),
    "settle_payments": Way(205, 0.2, 0.04, ("BankError", "503 Service Unavailable from api.bank.example")),
    "nightly_invoices": Way(3350, 0.07, rss_mb=310),
    "dunning": Way(240, 0.2),
    "export_ledger": Way(620, 0.1),
    "reindex_search": Way(2460, 0.06, rss_mb=1420),
    "product_feed": Way(1120, 0.04, rss_mb=190),
    "sitemap": Way(95, 0.1),
    "kpi_rollup": Way(36, 0.2),
    "purge_sessions": Way(310, 0.3, says="deleted 18,240 sessions\n"),
    "warm_cache": Way(170, 0.15),
    "weekly_report": Way(420, 0.1),
    "send_email": Way(1.3, 0.4),
    "send_push": Way(0.5, 0.4),
    "resize_image": Way(24, 0.4),
    "transcode_video": Way(410, 0.5, rss_mb=880),
}  # fmt: skip

BACKUP_FAILED = """\
dumping shop to /mnt/vault/shop-2026-11-24.dump
pg_dump: last built-in OID is 16383
pg_dump: dumping contents of table "public.orders"
pg_dump: dumping contents of table "public.order_lines"
pg_dump: dumping contents of table "public.events"
pg_dump: error: could not write to file "/mnt/vault/shop-2026-11-24.dump": No space left on device
bin/backup.sh: the dump is not complete, removing it
Filesystem      Size  Used Avail Use% Mounted on
vault:/b        2.0T  2.0T  1.1G 100% /mnt/vault
"""
PRICES_FAILED = ("ConnectionError", "connection refused by prices.supplier.example:443")
SMTP_FAILED = ("smtplib.SMTPServerDisconnected", "Connection unexpectedly closed: mx1.example.com:587")
NO_SUCH_USER = ("smtplib.SMTPRecipientsRefused", "{{'{to}': (550, b'5.1.1 no such user')}}")
NO_PICTURE = ("PIL.UnidentifiedImageError", "cannot identify image file '/srv/uploads/{picture}.webp'")
NO_PHONE = ("shop.push.Unregistered", "the app was removed from this phone")
VIDEO_FAILED = ("Exit1", "exit code 1")
TRACES = {
    "sync_prices": """\
fetching 48 pages of prices
Traceback (most recent call last):
  File "/srv/shop/shop/prices.py", line 41, in sync
    for page in supplier.pages("/v2/prices"):
  File "/srv/shop/shop/supplier.py", line 88, in pages
    answer = self.session.get(self.base + path, timeout=10)
ConnectionError: connection refused by prices.supplier.example:443
""",
    "send_email": """\
Traceback (most recent call last):
  File "/srv/shop/shop/mail.py", line 57, in send
    server.send_message(message, to_addrs=[to])
  File "/usr/lib/python3.11/smtplib.py", line 986, in send_message
    return self.sendmail(from_addr, to_addrs, flatmsg, mail_options)
{error}
""",
    "resize_image": """\
Traceback (most recent call last):
  File "/srv/shop/shop/media.py", line 23, in resize
    with Image.open(source) as picture:
{error}
""",
    "send_push": """\
Traceback (most recent call last):
  File "/srv/shop/shop/push.py", line 31, in send
    gateway.push(token, message)
{error}
""",
}
NAMES = (
    "ada.brandt", "jonas.weber", "lea.hoffmann", "mehmet.kaya", "sofia.rossi", "tim.krueger", "nora.lindqvist",
    "piotr.nowak", "emma.dubois", "lukas.schmid", "hannah.vogel", "marco.ferrari", "julia.bauer", "ivo.novak",
)  # fmt: skip
HOSTS = ("posteo.example", "mail.example", "webmail.example", "firma.example")
TEMPLATES = ("order_confirmation", "shipping_notice", "invoice", "password_reset", "review_request")
PICTURES = ("sofa-oslo", "lamp-arc", "desk-birch", "chair-wishbone", "rug-fjord", "shelf-string")

ANA, TOM = "ana@bastion from 10.8.0.4", "tom@bastion from 10.8.0.7"
PAUSE_BILLING, PURGE_PUSHES = "pause billing", "purge pushes"
"""These two are really done."""
AUDIT: tuple[tuple[int, str, str, dict[str, Any], int, int], ...] = (
    # ms before now, who, verb, target, matched, changed
    (3 * DAY + 2 * HOUR, TOM, "backfill",
     {"job": "kpi_rollup", "from": "2026-11-20T00:00:00+01:00", "to": "2026-11-21T00:00:00+01:00"}, 24, 24),
    (DAY + 5 * HOUR, ANA, "trigger", {"job": "reindex_search"}, 1, 1),
    (DAY + 4 * HOUR, ANA, "dead_retry", {"queue": "media", "error": "UnidentifiedImageError"}, 12, 12),
    (21 * HOUR, TOM, "enqueue", {"queue": "media", "job": "resize_image"}, 640, 640),
    (20 * HOUR + 40 * MINUTE, TOM, "cancel", {"run_id": "019daf", "answer": "asked"}, 1, 1),
    (3 * HOUR + 50 * MINUTE, "deploy@ci-2", "pause",
     {"target": "queue:search", "note": "kernel update", "for_s": 1800.0}, 1, 1),
    (3 * HOUR + 20 * MINUTE, "deploy@ci-2", "resume", {"target": "queue:search"}, 1, 1),
    (57 * MINUTE, ANA, PAUSE_BILLING, {"note": "bank's API is down until 10:00"}, 1, 1),
    (31 * MINUTE, ANA, "dead_retry", {"queue": "mail", "error": "SMTPServerDisconnected", "since": "5m"}, 40, 40),
    (24 * MINUTE, TOM, "trigger", {"job": "warm_cache"}, 1, 1),
    (9 * MINUTE, ANA, PURGE_PUSHES, {}, 12, 12),
)  # fmt: skip
VIDEO = (
    (0, "$ bin/transcode.sh uploads/desk-birch-17.mov phone-720p\n"),
    (2, "input   3840x2160 hevc 59.94 fps, 04:12.6, 1.9 GB\noutput  1280x720 h264 30 fps, target 2.4 Mbit/s\n"),
    (4, "pass 1 of 2\n"),
    *((20 + 20 * n, f"  {3 + 5.4 * n:5.1f} %   frame {520 + 402 * n:6,}   {40 + n % 3 * 1.4:.1f} fps\n")
      for n in range(18)),
    (384, "pass 2 of 2\n"),
    *((400 + 10 * n, f"  {2 + 4.7 * n:5.1f} %   frame {310 + 355 * n:6,}   {35 + n % 4 * 0.9:.1f} fps\n")
      for n in range(20)),
)  # fmt: skip
"""(seconds after its start, what it prints) of the video that is at work."""
VIDEO_SINCE_S = 455
QUEUED = {"mail": 9, "media": 38}
"""So many runs lie ready in these queues."""
TALK = (
    (0.0, "500 pages, 8 at once\n"),
    *((0.5 + 0.4 * n, f"  {25 * (n + 1):3} of 500   {31 + n * 7 % 11} ms on average   /{name}\n")
      for n, name in enumerate(("", "sofas", "lamps", "sale", "desks", "chairs", "rugs", "shelves", "new", "outlet",
                                "sofas/oslo", "lamps/arc", "desks/birch", "help", "stores", "cart", "search", "b2b",
                                "jobs", "imprint"))),
    (8.8, "done: 500 pages in 8.3 s, 3 of them were slow\n"),
)  # fmt: skip
"""(seconds after its start, what it prints) of `warm_cache` in the recording."""

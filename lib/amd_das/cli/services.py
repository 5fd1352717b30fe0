"""What serves others: ``cache``, ``users``, ``listen``."""

import argparse
from pathlib import Path

from amd_das.cli.console import DONE, say
from amd_das.cli.options import DEVICE, MODEL_DIR, VERBOSE, Commands, names
from amd_das.conventions import RESEARCH_NOTICE


def add_cache(commands: Commands) -> None:
    cache = commands.add_parser(
        "cache",
        parents=[VERBOSE],
        help="show or clear the series kept from the PACS",
        description="Show how much is kept of the series fetched from the PACS, or remove it. What a server is using "
        "at the moment stays.",
    )
    cache.add_argument("action", choices=("show", "clear"), nargs="?", default="show")
    cache.add_argument("--dir", type=Path, metavar="DIR", help="(default: $AMD_DAS_CACHE_DIR, or ~/.cache/amd-das)")
    cache.set_defaults(run=_cache)


def _cache(args: argparse.Namespace) -> int:
    from amd_das.pacs.cache import SeriesCache, default_cache_dir

    cache = SeriesCache(args.dir or default_cache_dir())
    if args.action == "clear":
        say(f"removed {cache.clear()} series")
    usage = cache.usage()
    held = f", {usage.in_use} in use" if usage.in_use else ""
    age = f", the oldest last used {usage.oldest_hours:.1f} h ago" if usage.series else ""
    say(f"{usage.series} series, {usage.bytes / 2**20:.1f} MiB in {usage.folder}{held}{age}")
    return DONE


def add_users(commands: Commands) -> None:
    users = commands.add_parser(
        "users",
        parents=[VERBOSE],
        help="who may use a server: list, add, remove, change passwords and roles",
        description="Who may use a server, and as what: user (reads results), annotator (segments, saves labels), "
        "reviewer (removes labels), admin (trains, publishes, removes). Passwords are asked for, or read from stdin; "
        "they are kept as hashes. A running server takes up every change by itself.",
    )
    users.add_argument("action", choices=("list", "add", "password", "roles", "remove"), nargs="?", default="list")
    users.add_argument("name", nargs="?", metavar="NAME", help="of the user")
    users.add_argument("roles", nargs="*", metavar="ROLE", help="for add and roles: user, annotator, reviewer, admin")
    users.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where users are kept (default: $AMD_DAS_ACCOUNTS_DIR, or accounts/ in $AMD_DAS_RUNS_DIR or runs/)",
    )
    users.set_defaults(run=_users)


def _users(args: argparse.Namespace) -> int:
    from amd_das.accounts.console import users_in_terminal

    users_in_terminal(args.action, args.name, args.roles, args.folder, say)
    return DONE


def add_listen(commands: Commands) -> None:
    listen = commands.add_parser(
        "listen",
        parents=[VERBOSE, MODEL_DIR, DEVICE],
        help="segment series that arrive by DICOM, and send the results on",
        description="Take head CT series by C-STORE, segment each when it is complete, and C-STORE the results to "
        "another DICOM node. What is under way survives a crash. No encryption: for trusted networks.",
        epilog=RESEARCH_NOTICE,
    )
    listen.add_argument("--destination", required=True, metavar="AET@HOST:PORT", help="where results go")
    listen.add_argument("--allow", required=True, metavar="AET[,AET...]", help="AE titles that may send")
    listen.add_argument("--spool", required=True, type=Path, metavar="DIR", help="private folder for what is under way")
    listen.add_argument("--aet", default="AMDDAS", help="own AE title, which senders have to call (%(default)s)")
    listen.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    listen.add_argument("--port", type=int, default=11112, help="TCP port (%(default)s)")
    listen.add_argument(
        "--quiet",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="a series is complete when no sender of it is connected and nothing came for so long (%(default)g)",
    )
    listen.add_argument(
        "--quiet-broken",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="the same after a connection broke off: the sender may try again (%(default)g)",
    )
    listen.add_argument("--format", default="seg,sr,sc", help="of the results (%(default)s)")
    listen.add_argument(
        "--pacs", metavar="URL", help="DICOMweb PACS with earlier results, for the change since then in the report"
    )
    listen.add_argument("--max-gb", type=float, default=20.0, help="most the spool may hold (%(default)g)")
    listen.add_argument("--max-waiting", type=int, default=200, metavar="N", help="most series waiting (%(default)s)")
    listen.add_argument(
        "--keep-hours",
        type=float,
        default=6.0,
        metavar="HOURS",
        help="how long a series is kept afterwards, for slices that come late (%(default)g)",
    )
    listen.set_defaults(run=_listen)


def _listen(args: argparse.Namespace) -> int:
    from amd_das.listener.config import ListenConfig
    from amd_das.listener.console import listen_in_terminal
    from amd_das.listener.sending import parse_node
    from amd_das.pacs.config import PacsConfig

    config = ListenConfig(
        destination=parse_node(args.destination),
        allow=names(args.allow),
        spool=args.spool,
        aet=args.aet,
        host=args.host,
        port=args.port,
        quiet_s=args.quiet,
        broken_quiet_s=max(args.quiet, args.quiet_broken),
        max_gb=args.max_gb,
        max_waiting=args.max_waiting,
        keep_hours=args.keep_hours,
        formats=names(args.format),
        pacs=PacsConfig.from_environment(args.pacs) if args.pacs else None,
    )
    listen_in_terminal(config, say, model_dir=args.model_dir, device=args.device)
    return DONE

"""Records which parameters of a URL the real drivers refuse by name, into drivers.json beside this file.

    python tests/drivers/record.py       # once for each set of versions; needs SQLAlchemy and the drivers

SQLAlchemy hands each parameter of a URL to its driver. Nothing listens where the URLs lead, so a driver that accepts the
parameters fails to connect. A run replaces the record of the same versions. src/rule/drivers.rs is held to the record.
"""

import asyncio
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

DRIVERS = {
    "postgresql": "asyncpg psycopg psycopg_async psycopg2 pg8000",
    "mysql": "pymysql mysqldb aiomysql asyncmy mysqlconnector",
}
ASYNC = {"asyncpg", "psycopg_async", "aiomysql", "asyncmy"}
PACKAGES = (
    "sqlalchemy asyncpg psycopg psycopg2-binary pg8000 pymysql mysqlclient aiomysql asyncmy mysql-connector-python"
)

# Of libpq; of asyncpg, psycopg and SQLAlchemy; of other clients of PostgreSQL (Prisma, JDBC, pgx, lib/pq, node-postgres,
# Npgsql, Supabase, encode/databases); of drivers for MySQL; of other clients of MySQL (JDBC, mysql2, Go, Prisma).
NAMES = """
sslmode sslrootcert sslcert sslkey sslcrl sslcrldir sslpassword sslsni sslcompression sslnegotiation requiressl
requirepeer channel_binding options application_name fallback_application_name connect_timeout client_encoding
keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout gssencmode krbsrvname gsslib
target_session_attrs load_balance_hosts service passfile hostaddr host port user password dbname replication
ssl_min_protocol_version ssl_max_protocol_version require_auth

ssl timeout command_timeout statement_cache_size max_cached_statement_lifetime max_cacheable_statement_size
server_settings direct_tls database dsn prepared_statement_cache_size prepared_statement_name_func async_fallback
prepare_threshold autocommit row_factory ssl_context unix_sock source_address tcp_keepalive

pgbouncer schema connection_limit pool_timeout socket_timeout sslidentity sslaccept currentSchema prepareThreshold
reWriteBatchedInserts ApplicationName loginTimeout socketTimeout search_path pool_max_conns pool_min_conns
default_query_exec_mode statement_cache_capacity binary_parameters statement_timeout uselibpqcompat supa workaround
Pooling min_size max_size pool_size max_overflow pool_recycle pool_pre_ping echo

unix_socket charset use_unicode init_command ssl_ca ssl_cert ssl_key ssl_capath ssl_cipher ssl_mode
ssl_disabled ssl_verify_cert ssl_verify_identity read_timeout write_timeout local_infile read_default_file
read_default_group client_flag compress auth_plugin sql_mode program_name cursorclass named_pipe db passwd collation
use_pure connection_timeout raise_on_warnings auth_plugin_map bind_address max_allowed_packet

ssl-mode sslMode useSSL requireSSL verifyServerCertificate serverTimezone allowPublicKeyRetrieval useUnicode
characterEncoding autoReconnect zeroDateTimeBehavior parseTime loc tls multiStatements connectionLimit timezone
time_zone useAffectedRows sessionVariables connectTimeout allowNativePasswords rejectUnauthorized
"""

# Values of libpq's `sslmode`, and others that were seen there.
MODES = "disable allow prefer require verify-ca verify-full true false 1 Require required"


def connect(url: str, driver: str) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine

    async def connect_async() -> None:
        async with create_async_engine(url).connect():
            pass

    if driver in ASYNC:
        asyncio.run(connect_async())
    else:
        create_engine(url).connect().close()


def is_refused(dialect: str, driver: str, name: str) -> bool:
    """Whether the driver refuses the name itself, whatever its value is."""
    try:
        connect(f"{dialect}+{driver}://u:p@127.0.0.1:1/d?{name}=1", driver)
    except BaseException as error:
        message = str(getattr(error, "orig", None) or error)
        words = "unexpected keyword", "invalid keyword", "invalid connection option", "unsupported argument"
        return name in message and any(word in message.lower() for word in words)
    raise AssertionError("something listens at port 1")


def refused_modes(driver: str) -> str:
    """The values that the driver refuses for its parameter that selects TLS."""
    name = "ssl" if driver == "asyncpg" else "sslmode"
    refused = []
    for mode in MODES.split():
        try:
            connect(f"postgresql+{driver}://u:p@127.0.0.1:1/d?{name}={mode}", driver)
        except BaseException as error:
            message = str(getattr(error, "orig", None) or error)
            if "must be one of" in message or f'"{mode}"' in message:
                refused.append(mode)
    return " ".join(refused)


def main() -> None:
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    refused = {
        driver: [name for name in NAMES.split() if is_refused(dialect, driver, name)]
        for dialect, drivers in DRIVERS.items()
        for driver in drivers.split()
    }
    versions = {package: version(package) for package in PACKAGES.split()}
    target = Path(__file__).with_name("drivers.json")
    runs = json.loads(target.read_text())["runs"] if target.exists() else []
    runs = [run for run in runs if run["versions"] != versions]
    names = {driver: " ".join(names) for driver, names in refused.items()}
    modes = {driver: refused_modes(driver) for driver in "asyncpg psycopg psycopg_async psycopg2".split()}
    runs.append({"versions": versions, "refused": names, "modes": modes})
    record = {"names": " ".join(NAMES.split()), "runs": runs}
    target.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

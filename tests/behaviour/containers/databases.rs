//! Databases that one app has in another: a real PostgreSQL.

use std::sync::Arc;

use serde_json::json;
use tests::bench::{AppJob, Bench};
use tests::lab::Lab;
use windlass::effects::databases::{DropDatabase, EnsureDatabase, Place};
use windlass::effects::ssh::JobLog;

use super::{Container, sshd};

/// PostgreSQL from Debian's own package, kept by the lab's engine.
const POSTGRES: &str = "windlass-postgres:debian-12";

/// Starts it late, so that somebody has to wait.
const START: &str = "mkdir -p /run/postgresql; chown postgres /run/postgresql; sleep 3; \
                     exec su postgres -c '/usr/lib/postgresql/15/bin/postgres \
                     -D /var/lib/postgresql/15/main \
                     -c config_file=/etc/postgresql/15/main/postgresql.conf'";

const ENSURE: &str = r"
SELECT format('CREATE ROLE %I LOGIN', '{{role}}')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{{role}}') \gexec
ALTER ROLE {{role}} PASSWORD '{{password}}';
SELECT format('CREATE DATABASE %I OWNER %I', '{{database}}', '{{role}}')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{{database}}') \gexec
SELECT CASE WHEN pg_get_userbyid(datdba) = '{{role}}' THEN 'owned' ELSE 'conflict' END
FROM pg_database WHERE datname = '{{database}}';
";

fn psql(lab: &Lab, container: &Container<'_>, statement: &str) -> String {
    let arguments =
        ["exec", "-u", "postgres", &container.id, "psql", "-XAtc", statement, "postgres"];
    lab.docker(&arguments).trim().to_owned()
}

fn engine() -> serde_json::Value {
    let as_postgres = |line: &str| json!(["su", "postgres", "-c", line]);
    json!({ "databases": {
        "service": "db", "port": 5432,
        "ready": { "arguments": as_postgres("pg_isready -q") },
        "ensure": {
            "arguments": as_postgres("psql -XAtq -v ON_ERROR_STOP=1"),
            "stdin": ENSURE,
        },
        "drop": {
            "arguments": as_postgres("psql -XAtq -v ON_ERROR_STOP=1"),
            "stdin": "DROP DATABASE IF EXISTS {{database}} WITH (FORCE);\n\
                      DROP ROLE IF EXISTS {{role}};\n",
        },
    } })
}

fn place(job: &AppJob, engine: &str, name: &str) -> Place {
    Place {
        server: "web-1".parse().unwrap(),
        engine: engine.parse().unwrap(),
        name: name.to_owned(),
        lines: Arc::new(JobLog { job: Arc::clone(&job.context), quiet_prefix: None }),
    }
}

#[tokio::test]
async fn an_app_gets_a_database_of_its_own_and_nobody_elses() {
    const TEST: &str = "an_app_gets_a_database_of_its_own";
    let Some(lab) = Lab::shared(TEST) else { return };
    let Some(sshd) = sshd(lab, TEST) else { return };
    lab.have_image_with(&["postgresql-15"], POSTGRES);
    let container = Container::start(lab, "postgres_db", POSTGRES, &["sh", "-c", START]);
    let bench = Bench::at(&sshd, sshd.port()).await;
    bench.install("postgres", &[], engine()).await;
    bench.install("my-shop", &["postgres"], json!(null)).await;
    bench.install("bank", &["postgres"], json!(null)).await;

    let job = bench.app_job("my-shop", &[], false).await;
    let made = job.perform(&EnsureDatabase(place(&job, "postgres", "shop"))).await.unwrap();
    assert_eq!((made.host.as_str(), made.port), ("postgres_db", 5432));
    assert_eq!((made.name.as_str(), made.user.as_str()), ("shop", "my_shop"));
    assert_eq!(made.password, "${secret:web-1/my-shop/database-postgres}");
    bench.says(&job.id(), "waiting until postgres takes commands").await;
    let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'";
    assert_eq!(psql(lab, &container, owner), "my_shop");
    let hash = "SELECT rolpassword FROM pg_authid WHERE rolname = 'my_shop'";
    assert!(psql(lab, &container, hash).starts_with("SCRAM-SHA-256$"));
    let table = ["exec", &container.id, "su", "postgres", "-c", "psql -c 'CREATE TABLE t ()' shop"];
    lab.docker(&table);
    let again = job.perform(&EnsureDatabase(place(&job, "postgres", "shop"))).await.unwrap();
    assert_eq!(again, made);
    let tables = ["exec", &container.id, "su", "postgres", "-c", "psql -Atc '\\dt' shop"];
    assert!(lab.docker(&tables).contains("|t|"), "its data is kept");
    let early = job.perform(&DropDatabase(place(&job, "postgres", "shop"))).await.unwrap_err();
    assert_eq!(early.code, "access_denied", "{}", early.message);
    bench.end(job).await;

    let other = bench.app_job("bank", &[], true).await;
    let taken = other.perform(&EnsureDatabase(place(&other, "postgres", "shop"))).await;
    assert_eq!(taken.unwrap_err().code, "conflict");
    let taken = other.perform(&DropDatabase(place(&other, "postgres", "shop"))).await.unwrap_err();
    assert_eq!(
        (taken.code.as_str(), psql(lab, &container, owner).as_str()),
        ("conflict", "my_shop")
    );
    for name in ["", "Shop", "shop; DROP DATABASE postgres", "a\"b"] {
        let refused = other.perform(&EnsureDatabase(place(&other, "postgres", name))).await;
        assert_eq!(refused.unwrap_err().code, "invalid_argument", "{name}");
    }
    let unknown = other.perform(&EnsureDatabase(place(&other, "my-shop", "bank"))).await;
    assert_eq!(unknown.unwrap_err().code, "access_denied");

    bench.end(other).await;
    let owner_job = bench.app_job("my-shop", &[], true).await;
    for _ in 0..2 {
        owner_job.perform(&DropDatabase(place(&owner_job, "postgres", "shop"))).await.unwrap();
    }
    assert_eq!(psql(lab, &container, owner), "");
    let told = bench.told(&owner_job.id()).await;
    assert!(!told.contains("SCRAM") && !told.contains("PASSWORD '"), "{told}");
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let bench = Bench::simulated().await;
    bench.install("postgres", &[], engine()).await;
    bench.install("cache", &[], json!(null)).await;
    bench.install("shop", &["postgres", "cache"], json!(null)).await;
    let job = bench.app_job("shop", &[], false).await;
    for (engine, code, said) in [
        ("postgres", "not_ready", "no container of postgres_db"),
        ("cache", "unsupported", "gives no databases"),
        ("mysql", "access_denied", "does not depend on `mysql`"),
    ] {
        let failure = job.perform(&EnsureDatabase(place(&job, engine, "shop"))).await.unwrap_err();
        assert_eq!(failure.code, code, "{engine}: {}", failure.message);
        assert!(failure.message.contains(said), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_new_password_is_on_disk_before_the_engine_is_told() {
    let bench = Bench::simulated().await;
    bench.install("postgres", &[], engine()).await;
    bench.install("shop", &["postgres"], json!(null)).await;
    let job = bench.app_job("shop", &[], false).await;
    let before = bench.sqlite.syncs();
    let failure = job.perform(&EnsureDatabase(place(&job, "postgres", "shop"))).await.unwrap_err();
    assert_eq!(failure.code, "not_ready", "{}", failure.message);
    // The intent, and then the password; what is only written follows later.
    assert!(bench.sqlite.syncs() - before >= 2, "{}", bench.sqlite.syncs() - before);
}

//! Jobs, servers, apps and settings come back as they were written, each once.

use super::*;
use crate::model::server::AppsOnIt;
use crate::storage::apps::{AppStore, Batch, DnsOwners};
use crate::storage::planned::{PlanStore, Planned};
use crate::storage::{ConfigStore, IdempotencyKey, ProviderConfig, Token};

#[tokio::test]
async fn a_key_gives_the_same_job_again_until_it_is_forgotten() {
    let bench = Bench::new();
    let keyed = |index, request: &str, since| NewJob {
        idempotency: Some(IdempotencyKey {
            key: "t:k".to_owned(),
            request: request.to_owned(),
            since,
        }),
        ..new_job(index, None)
    };
    let yesterday = now() - 24.hours();
    let first = JobId::new(now(), 1);
    let submit = |job| bench.store.submit(job);
    assert_eq!(submit(keyed(1, "r", yesterday)).await.unwrap(), Submitted::Job(first.clone()));
    assert_eq!(submit(keyed(2, "r", yesterday)).await.unwrap(), Submitted::Before(first));
    assert_eq!(submit(keyed(3, "other", yesterday)).await.unwrap(), Submitted::KeyReused);
    let later = submit(keyed(4, "other", now() + 1.seconds())).await.unwrap();
    assert_eq!(later, Submitted::Job(JobId::new(now(), 4)));
}

#[tokio::test]
async fn a_server_is_made_once_and_marked_when_it_goes() {
    let bench = Bench::new();
    let name: ServerName = "web".parse().unwrap();
    let change = |index, server_change| NewJob { server_change, ..new_job(index, Some("web")) };
    let create = || ServerChange::Create(Box::new(server("web")));
    let delete =
        || ServerChange::Deleting { server: "web".parse().unwrap(), apps: AppsOnIt::Refuse };
    let refused = bench.store.submit(change(1, delete())).await.unwrap();
    assert_eq!(refused, Submitted::NoSuchServer);
    bench.store.submit(change(2, create())).await.unwrap();
    let refused = bench.store.submit(change(3, create())).await.unwrap();
    assert_eq!(refused, Submitted::ServerExists(Box::new(server("web"))));
    bench.store.submit(change(4, delete())).await.unwrap();
    let found = bench.store.server(&name).await.unwrap().unwrap();
    assert_eq!(found.status, ServerStatus::Deleting);
    let rename = Box::new(|server: &mut Server| server.provider_id = Some("7".to_owned()));
    let changed = bench.store.update_server(&name, rename).await.unwrap().unwrap();
    assert_eq!(changed.provider_id.as_deref(), Some("7"));
    bench.store.remove_server(&name, now()).await.unwrap();
    bench.store.remove_server(&name, now()).await.unwrap();
    assert!(bench.store.servers().await.unwrap().is_empty());
    let count = JobFilter { limit: 10, ..JobFilter::default() };
    assert_eq!(bench.store.jobs(&count).await.unwrap().items.len(), 2, "refusals leave no job");
}

#[tokio::test]
async fn an_id_that_is_taken_is_a_duplicate_and_hurts_nobody_else() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    let server_change = ServerChange::Create(Box::new(server("web")));
    let twice = NewJob { server_change, ..new_job(1, None) };
    let (refused, other) =
        tokio::join!(bench.store.submit(twice), bench.store.submit(new_job(2, None)));
    assert!(matches!(refused, Err(StorageError::Duplicate)), "{refused:?}");
    assert!(other.is_ok());
    assert!(bench.store.servers().await.unwrap().is_empty(), "nothing of it is written");
    assert_eq!(bench.kinds(&id).await, ["submitted"]);
}

#[tokio::test]
async fn pages_hold_every_job_once_newest_first() {
    let bench = Bench::new();
    let jobs = (0..95).map(|index| new_job(index, Some(if index % 3 == 0 { "a" } else { "b" })));
    futures_util::future::join_all(jobs.map(|job| bench.store.submit(job))).await;
    let running = bench.claim("w").await.unwrap();
    bench.complete(running).await;
    for (server, status, wanted) in [
        (None, vec![], 95),
        (None, vec![JobStatus::Queued, JobStatus::Completed], 95),
        (Some("a"), vec![], 32),
        (Some("b"), vec![JobStatus::Queued, JobStatus::Running], 63),
    ] {
        let server = server.map(|name| name.parse().unwrap());
        let mut filter = JobFilter { status, server, limit: 10, ..JobFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = bench.store.jobs(&filter).await.unwrap();
            seen.extend(page.items.iter().map(|job| job.number));
            filter.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
        assert_eq!(seen.len(), wanted);
    }
}

#[tokio::test]
async fn counts_and_configuration_come_back_as_they_were_written() {
    let bench = Bench::new();
    bench.submit(1, None).await;
    bench.submit(2, None).await;
    bench.claim("w").await.unwrap();
    let counts = bench.store.job_counts().await.unwrap();
    assert_eq!(counts, JobCounts { queued: 1, running: 1 });
    let provider = |kind, default| ProviderConfig { kind, token: None, endpoint: None, default };
    bench.store.put_provider(provider(ProviderKind::Sandbox, true)).await.unwrap();
    bench.store.put_provider(provider(ProviderKind::Docker, true)).await.unwrap();
    let defaults: Vec<_> =
        bench.store.providers().await.unwrap().iter().map(|p| (p.kind, p.default)).collect();
    assert_eq!(defaults, [(ProviderKind::Docker, true), (ProviderKind::Sandbox, false)]);
    assert_eq!(bench.store.ensure_secret("a/b", b"one").await.unwrap(), b"one");
    assert_eq!(bench.store.ensure_secret("a/b", b"two").await.unwrap(), b"one");
    bench.store.delete_secrets("a/").await.unwrap();
    assert_eq!(bench.store.secret("a/b").await.unwrap(), None);
    let token = |hash: &str| Token {
        name: "cli".to_owned(),
        hash: hash.to_owned(),
        scope: "admin".to_owned(),
        created_at: now(),
    };
    bench.store.put_token(token("one")).await.unwrap();
    bench.store.put_token(token("two")).await.unwrap();
    assert_eq!(bench.store.token("one").await.unwrap(), None);
    assert_eq!(bench.store.token("two").await.unwrap(), Some(token("two")));
    assert!(bench.store.delete_token("cli").await.unwrap());
    assert!(!bench.store.delete_token("cli").await.unwrap());
}

#[tokio::test]
async fn a_planned_job_is_written_only_while_its_plan_holds_and_runs_what_ran_in_it() {
    let bench = Bench::new();
    let web: ServerName = "web".parse().unwrap();
    let pin = PluginPin {
        name: "maker".to_owned(),
        version: "1.0.0".to_owned(),
        digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
    };
    let planned = |basis| {
        let pins = vec![("create_server".parse().unwrap(), pin.clone())];
        Some(Arc::new(Planned { server: "web".parse().unwrap(), basis, pins }))
    };
    let submit = |index, planned| {
        let jobs = vec![new_job(index, Some("web"))];
        bench.store.submit_all(Batch { jobs, secrets: Vec::new(), planned })
    };
    let basis = || async { bench.store.basis(&web).await.unwrap() };
    let first = basis().await;
    // What is about others does not count, but what they are does.
    bench.submit(1, Some("other")).await;
    assert_eq!(basis().await, first);
    let id = JobId::new(now(), 2);
    assert_eq!(submit(2, planned(first.clone())).await.unwrap(), Submitted::Job(id.clone()));
    assert_eq!(bench.store.job(&id).await.unwrap().unwrap().plugin, Some(pin.clone()));
    assert_eq!(submit(3, planned(first)).await.unwrap(), Submitted::Outdated);
    assert!(bench.store.job(&JobId::new(now(), 3)).await.unwrap().is_none());
    for change in ["server", "secret", "provider", "app"] {
        let before = basis().await;
        match change {
            "server" => {
                let server_change = ServerChange::Create(Box::new(server("third")));
                bench.store.submit(NewJob { server_change, ..new_job(4, None) }).await.unwrap();
            }
            "secret" => bench.store.put_secret("server/web/secret/x", b"sealed").await.unwrap(),
            "provider" => {
                let (token, endpoint) = (None, Some("http://127.0.0.1:1".to_owned()));
                let kind = ProviderKind::Docker;
                let provider = ProviderConfig { kind, token, endpoint, default: true };
                bench.store.put_provider(provider).await.unwrap();
            }
            _ => {
                let put = |writing: &mut verb::Writing<'_>| {
                    let insert = "INSERT INTO apps (server, name, job, record) \
                                  VALUES ('web', 'n8n', 'j', '{}')";
                    Ok(writing.connection.execute_batch(insert)?)
                };
                bench.store.writer.durable("wrote an app", put).await.unwrap();
            }
        }
        assert_ne!(basis().await, before, "{change}");
        assert_eq!(submit(9, planned(before)).await.unwrap(), Submitted::Outdated, "{change}");
    }
}

/// A record of this name, as plugins write it down.
fn dns_record(name: &str) -> serde_json::Value {
    json!({ "zone": "example.com", "id": format!("id-of-{name}"), "name": name, "kind": "A" })
}

#[tokio::test]
async fn whose_a_dns_record_is_follows_what_the_records_of_servers_and_apps_say() {
    let bench = Bench::new();
    let names = |owners: &DnsOwners| -> Vec<String> {
        let servers = owners.servers.iter().map(|it| it.name.to_string());
        servers.chain(owners.apps.iter().map(|it| format!("{}'s app", it.server))).collect()
    };
    let owners = async |value: &str| names(&bench.store.dns_owners(value, None).await.unwrap());
    for (index, name) in ["web", "other"].into_iter().enumerate() {
        let server_change = ServerChange::Create(Box::new(server(name)));
        let index = u32::try_from(index).unwrap();
        bench.store.submit(NewJob { server_change, ..new_job(index, Some(name)) }).await.unwrap();
    }
    let web: ServerName = "web".parse().unwrap();
    let set = async |records: &[&str]| {
        let records: Vec<_> = records.iter().map(|name| dns_record(name)).collect();
        let change = move |server: &mut Server| {
            server.dns.insert("records".to_owned(), json!(records));
        };
        bench.store.update_server(&web, Box::new(change)).await.unwrap();
    };
    assert!(owners("a.example.com").await.is_empty());
    // A name may have an address of each kind.
    set(&["a.example.com", "b.example.com", "b.example.com"]).await;
    assert_eq!(owners("a.example.com").await, ["web"]);
    assert_eq!(owners("id-of-b.example.com").await, ["web"]);
    set(&["b.example.com"]).await;
    assert!(owners("a.example.com").await.is_empty());
    let app: serde_json::Value = serde_json::to_value(shop_on(&web)).unwrap();
    let mut app = app.as_object().unwrap().clone();
    app.insert("dns".to_owned(), json!([dns_record("shop.example.com")]));
    let app: AppRecord = serde_json::from_value(app.into()).unwrap();
    let server_change = ServerChange::Deploying(Box::new(app));
    bench.store.submit(NewJob { server_change, ..new_job(7, Some("web")) }).await.unwrap();
    assert_eq!(owners("shop.example.com").await, ["web", "web's app"]);
    let own = bench.store.dns_owners("shop.example.com", Some(&"other".parse().unwrap())).await;
    assert_eq!(names(&own.unwrap()), ["other", "web", "web's app"]);
    bench.store.remove_server(&web, now()).await.unwrap();
    for value in ["b.example.com", "id-of-b.example.com", "shop.example.com"] {
        assert!(owners(value).await.is_empty(), "{value}");
    }
}

#[test]
fn whose_a_dns_record_is_follows_from_records_of_an_earlier_program_too() {
    let connection = Connection::open_in_memory().unwrap();
    schema::MIGRATIONS[..11].iter().for_each(|it| connection.execute_batch(it).unwrap());
    let (twice, none) = (dns_record("a.example.com"), json!({}));
    let record = json!({ "dns": { "records": [twice, twice, none] } });
    let app = json!({ "dns": [dns_record("b.example.com")] });
    for (name, record) in [("web", &record), ("bare", &json!({}))] {
        let insert = "INSERT INTO servers VALUES (?1, ?2)";
        connection.execute(insert, [name, &record.to_string()]).unwrap();
    }
    let insert = "INSERT INTO apps VALUES ('web', 'shop', 'j', ?1, NULL)";
    connection.execute(insert, [app.to_string()]).unwrap();
    schema::migrate(&connection, 11).unwrap();
    let mut select = connection
        .prepare("SELECT value || ' ' || server || ' ' || app FROM dns_owners ORDER BY value")
        .unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    let rows: Vec<String> = rows.map(Result::unwrap).collect();
    let expected = [
        "a.example.com web ",
        "b.example.com web shop",
        "id-of-a.example.com web ",
        "id-of-b.example.com web shop",
    ];
    assert_eq!(rows, expected);
}

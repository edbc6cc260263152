//! Names in zones: what the client of Cloudflare makes of everything that the API may answer.

mod door;
mod errors;
mod plugin;

use std::time::Duration;

use secrecy::SecretString;
use tests::fake_cloudflare::{FakeCloudflare, Fault, Harm, Options, Record};
use windlass::dns::Zones;
use windlass::dns::cloudflare::{self, Access, Cloudflare};
use windlass::dns::marker::{Marker, Owner};
use windlass::model::dns::{Content, NewRecord};
use windlass::model::names::Identity;
use windlass::providers::ProviderError;
use windlass::providers::cloud;
use windlass::providers::cloud::patience::Patience;

/// Requests as the fake names them.
const LIST: &str = "GET /zones/{id}/dns_records";
const CREATE: &str = "POST /zones/{id}/dns_records";
const REPLACE: &str = "PUT /zones/{id}/dns_records/{id}";
const DELETE: &str = "DELETE /zones/{id}/dns_records/{id}";

/// Long enough for anything that is to happen, on a busy machine too.
const LONG: Duration = Duration::from_secs(20);

/// A Cloudflare with the zone `example.com`, and that zone's id.
async fn fake() -> (FakeCloudflare, String) {
    let fake = FakeCloudflare::start(Options::default()).await;
    let zone = fake.add_zone("example.com", "ours");
    (fake, zone)
}

fn client(fake: &FakeCloudflare) -> Cloudflare {
    client_with(fake, quick())
}

fn client_with(fake: &FakeCloudflare, options: cloudflare::Options) -> Cloudflare {
    let access = Access::Token(SecretString::from(fake.options().token.clone()));
    Cloudflare::new(&access, owner(), Some(&fake.url()), options).unwrap()
}

/// Everything as usual, but without the waiting.
fn quick() -> cloudflare::Options {
    let backoff = Duration::from_millis(1);
    let patience = Patience { backoff, limit_wait: Some(backoff), ..Patience::default() };
    let cloud = cloud::Options { request_timeout: LONG, patience, ..cloud::Options::default() };
    cloudflare::Options { cloud, verify_timeout: LONG, settles: backoff }
}

fn owner() -> Owner {
    Owner::new("1a2b3c4d")
}

fn marker() -> Marker {
    let job = "job_20261122_120000_a1b2c3".parse().unwrap();
    Marker { owner: owner(), identity: Identity { job, effect: 2 } }
}

fn wanted(kind: &str, content: &str) -> NewRecord {
    NewRecord {
        zone: "example.com".parse().unwrap(),
        name: "web.example.com".parse().unwrap(),
        content: Content::parse(kind, content).unwrap(),
        proxied: false,
        ttl: None,
        note: "for web".to_owned(),
        force: false,
    }
}

/// What there is, in short: kind, name and content.
fn contents(fake: &FakeCloudflare) -> Vec<String> {
    let short = |it: Record| format!("{} {} {}", it.kind, it.name, it.content);
    fake.records().into_iter().map(short).collect()
}

#[tokio::test]
async fn a_new_name_is_made_once_and_carries_our_mark() {
    let (fake, _) = fake().await;
    let client = client(&fake);
    let made = client.upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    assert!(made.ours && !made.simulated);
    let again = client.upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    assert_eq!(made, again);
    assert_eq!(fake.writes(), 1);
    let kept = &fake.records()[0];
    let mark = "windlass/1a2b3c4d job_20261122_120000_a1b2c3-2 for web";
    assert_eq!((kept.comment.as_deref(), kept.ttl, kept.proxied), (Some(mark), 1, false));
}

#[tokio::test]
async fn our_record_is_changed_in_its_place() {
    let (fake, _) = fake().await;
    let client = client(&fake);
    let made = client.upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    let changed = client.upsert(&wanted("A", "192.0.2.2"), &marker()).await.unwrap();
    assert_eq!(made.id, changed.id);
    assert_eq!(contents(&fake), ["A web.example.com 192.0.2.2"]);
    assert_eq!((fake.count(REPLACE), fake.count(CREATE)), (1, 1));
}

#[tokio::test]
async fn names_and_contents_are_compared_as_the_zone_has_them() {
    let (fake, zone) = fake().await;
    fake.add_record(&zone, "CNAME", "xn--bcher-kva.example.com", "web.example.com");
    let name = "Bücher.Example.COM.".parse().unwrap();
    let wanted = NewRecord { name, ..wanted("CNAME", "WEB.example.com.") };
    client(&fake).upsert(&wanted, &marker()).await.unwrap();
    assert_eq!(fake.writes(), 0);
}

#[tokio::test]
async fn strangers_records_are_named_and_left_alone() {
    let (fake, zone) = fake().await;
    let id = fake.add_record(&zone, "A", "web.example.com", "192.0.2.9");
    let error = client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Conflict { .. }), "{error:?}");
    let told = error.to_string();
    assert!(told.contains("192.0.2.9") && told.contains(&id) && told.contains("force"), "{told}");
    let error = client(&fake)
        .delete(&"example.com".parse().unwrap(), &id.parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Conflict { .. }), "{error:?}");
    assert_eq!(fake.writes(), 0);
}

#[tokio::test]
async fn another_hosts_record_is_a_strangers() {
    let (fake, _) = fake().await;
    let other = Marker { owner: Owner::new("ffffffff"), ..marker() };
    client(&fake).upsert(&wanted("A", "192.0.2.9"), &other).await.unwrap();
    let error = client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Conflict { .. }), "{error:?}");
    assert_eq!(contents(&fake), ["A web.example.com 192.0.2.9"]);
}

#[tokio::test]
async fn force_takes_over_one_strangers_record() {
    let (fake, zone) = fake().await;
    let id = fake.add_record(&zone, "A", "web.example.com", "192.0.2.9");
    let force = NewRecord { force: true, ..wanted("A", "192.0.2.1") };
    let taken = client(&fake).upsert(&force, &marker()).await.unwrap();
    assert_eq!((taken.id.as_str(), taken.ours), (id.as_str(), true));
    assert_eq!(contents(&fake), ["A web.example.com 192.0.2.1"]);
}

#[tokio::test]
async fn of_a_round_robin_only_ours_is_touched() {
    let (fake, zone) = fake().await;
    let client = client(&fake);
    client.upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    fake.add_record(&zone, "A", "web.example.com", "192.0.2.9");
    client.upsert(&wanted("A", "192.0.2.2"), &marker()).await.unwrap();
    let expected = ["A web.example.com 192.0.2.2", "A web.example.com 192.0.2.9"];
    assert_eq!(contents(&fake), expected);
}

#[tokio::test]
async fn other_kinds_of_the_name_are_not_looked_at() {
    let (fake, zone) = fake().await;
    fake.add_record(&zone, "TXT", "web.example.com", "v=spf1 -all");
    fake.add_record(&zone, "MX", "web.example.com", "mail.example.com");
    client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    client(&fake).upsert(&wanted("AAAA", "2001:db8::1"), &marker()).await.unwrap();
    assert_eq!(fake.records().len(), 4);
}

#[tokio::test]
async fn an_alias_beside_an_address_is_a_conflict() {
    let (fake, zone) = fake().await;
    fake.add_record(&zone, "CNAME", "web.example.com", "other.example.com");
    let error = client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Conflict { .. }), "{error:?}");
    assert!(error.to_string().contains("81054"), "{error}");
}

#[tokio::test]
async fn a_proxied_record_has_no_lifetime_to_be_compared() {
    let (fake, _) = fake().await;
    let client = client(&fake);
    let proxied = NewRecord { proxied: true, ttl: Some(300), ..wanted("A", "192.0.2.1") };
    for _ in 0..2 {
        let record = client.upsert(&proxied, &marker()).await.unwrap();
        assert_eq!((record.proxied, record.ttl), (true, 1));
    }
    assert_eq!(fake.writes(), 1);
    let direct = NewRecord { proxied: false, ..proxied };
    for _ in 0..2 {
        assert_eq!(client.upsert(&direct, &marker()).await.unwrap().ttl, 300);
    }
    assert_eq!(fake.writes(), 2);
}

#[tokio::test]
async fn deleting_ours_twice_is_fine() {
    let (fake, _) = fake().await;
    let client = client(&fake);
    let made = client.upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    let zone = "example.com".parse().unwrap();
    client.delete(&zone, &made.id).await.unwrap();
    client.delete(&zone, &made.id).await.unwrap();
    assert!(fake.records().is_empty());
    assert_eq!(fake.count(DELETE), 1);
}

#[tokio::test]
async fn a_record_that_goes_between_look_and_delete_is_gone() {
    let (fake, _) = fake().await;
    let client = client(&fake);
    let made = client.upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    fake.inject(Fault::on(DELETE, Harm::refuse(404, "81044")));
    client.delete(&"example.com".parse().unwrap(), &made.id).await.unwrap();
}

#[tokio::test]
async fn all_zones_and_all_records_are_read_to_the_last_page() {
    let (fake, zone) = fake().await;
    (0..120).for_each(|n| drop(fake.add_zone(&format!("zone-{n}.example"), "ours")));
    (0..60).for_each(|n| {
        drop(fake.add_record(&zone, "TXT", "web.example.com", &format!("text {n}")));
    });
    let client = client(&fake);
    assert_eq!(client.zones().await.unwrap().len(), 121);
    assert_eq!(fake.count("GET /zones"), 3);
    let name = "web.example.com".parse().unwrap();
    let found = client.lookup(&"example.com".parse().unwrap(), &name).await.unwrap();
    assert_eq!((found.len(), fake.count(LIST)), (60, 2));
}

#[tokio::test]
async fn a_list_that_does_not_advance_is_an_error() {
    let (fake, _) = fake().await;
    (0..60).for_each(|n| drop(fake.add_zone(&format!("zone-{n}.example"), "ours")));
    fake.inject(Fault::on("GET /zones", Harm::SamePage).always());
    let error = client(&fake).zones().await.unwrap_err();
    assert!(error.to_string().contains("do not advance"), "{error}");
}

#[tokio::test]
async fn the_nearest_zone_of_a_name_is_the_one() {
    let (fake, outer) = fake().await;
    let inner = fake.add_zone("sub.example.com", "ours");
    for (zone, expected) in
        [("a.b.example.com", &outer), ("example.com", &outer), ("a.sub.example.com", &inner)]
    {
        let record = NewRecord {
            zone: zone.parse().unwrap(),
            name: format!("x.{zone}").parse().unwrap(),
            ..wanted("A", "192.0.2.1")
        };
        client(&fake).upsert(&record, &marker()).await.unwrap();
        assert_eq!(&fake.records().last().unwrap().zone, expected, "{zone}");
    }
}

#[tokio::test]
async fn two_zones_of_one_name_are_told_apart_by_their_ids_only() {
    let (fake, ours) = fake().await;
    let theirs = fake.add_zone("example.com", "theirs");
    let error = client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap_err();
    let told = error.to_string();
    for part in [ours.as_str(), &theirs, "`theirs`", "2 zones"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(fake.writes(), 0);
    let record = NewRecord { zone: theirs.parse().unwrap(), ..wanted("A", "192.0.2.1") };
    client(&fake).upsert(&record, &marker()).await.unwrap();
    assert_eq!(fake.records()[0].zone, theirs);
}

#[tokio::test]
async fn what_is_not_in_the_zone_or_in_none_is_refused() {
    let (fake, _) = fake().await;
    let name = "web.example.org".parse().unwrap();
    let elsewhere = NewRecord { name, ..wanted("A", "192.0.2.1") };
    let error = client(&fake).upsert(&elsewhere, &marker()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { code: "invalid_argument", .. }), "{error:?}");
    for zone in ["example.org", "00000000000000000000000000000000"] {
        let nowhere = NewRecord { zone: zone.parse().unwrap(), ..elsewhere.clone() };
        let error = client(&fake).upsert(&nowhere, &marker()).await.unwrap_err();
        assert!(matches!(error, ProviderError::NotFound { .. }), "{error:?}");
    }
    assert_eq!(fake.writes(), 0);
}

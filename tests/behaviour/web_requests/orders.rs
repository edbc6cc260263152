//! Orders at a real web server by a real component, whose host is killed: what nobody can look for
//! is never sent twice unless its plugin said that this does no harm, and a person says what
//! happened.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::{Value, json};
use tests::doors::Doors;
use tests::fake_hetzner::{self, FakeHetzner};
use tests::forge;
use tests::host_process::{TestHost, program};
use tests::journal::newest_job;
use tests::web_port::WebPort;
use tests::workshop::guest;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use windlass::app::evidence::LAST_WORDS;

/// The points of a run that orders, by their numbers.
const CLAIMED: u64 = 1;
const BEFORE_INTENT: u64 = 2;
const AFTER_INTENT: u64 = 3;
const AFTER_SEND: u64 = 4;
const AFTER_OUTCOME: u64 = 5;
const BEFORE_END: u64 = 6;

/// A web server that takes orders and counts them.
struct Book {
    page: Arc<Page>,
    serving: AbortHandle,
}

#[derive(Default)]
struct Page {
    orders: watch::Sender<usize>,
    is_silent: watch::Sender<bool>,
}

impl Page {
    async fn take(self: Arc<Self>) -> String {
        self.orders.send_modify(|orders| *orders += 1);
        let number = self.orders();
        self.is_silent.subscribe().wait_for(|is_silent| !is_silent).await.unwrap();
        format!("order {number}")
    }

    fn orders(&self) -> usize {
        *self.orders.borrow()
    }
}

impl Book {
    fn open(port: WebPort) -> Self {
        let page = Arc::<Page>::default();
        let (shown, taking) = (Arc::clone(&page), Arc::clone(&page));
        let ways = get(move || async move { format!("{} orders", shown.orders()) });
        let router = Router::new().route("/orders", ways.post(move || taking.take()));
        let serving = tokio::spawn(async move {
            // The port is held as long as somebody serves there.
            let WebPort { listener, turn: _turn } = port;
            axum::serve(listener, router).await.unwrap();
        });
        Self { page, serving: serving.abort_handle() }
    }

    fn orders(&self) -> usize {
        self.page.orders()
    }

    /// Orders are taken and not answered until this is over.
    fn keep_silent(&self, is_silent: bool) {
        self.page.is_silent.send_replace(is_silent);
    }

    /// Waits for one order more than so many.
    async fn taken(&self, before: usize) {
        self.page.orders.subscribe().wait_for(|orders| *orders > before).await.unwrap();
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// By which door a person says what happened.
#[derive(Clone, Copy, Debug)]
enum Door {
    Rest,
    Cli,
}

/// A host with a real server, where what sets servers up orders something there instead.
struct Shop {
    host: TestHost,
    book: Book,
    _cloud: FakeHetzner,
}

impl Shop {
    async fn open(test: &str) -> Option<Self> {
        Self::open_with(test, &[]).await
    }

    /// The same, whose host has these settings after its first job.
    async fn open_with(test: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let machines = Doors::new(test)?;
        let book = Book::open(WebPort::take(test).await?);
        let options = fake_hetzner::Options { machines, ..fake_hetzner::Options::default() };
        let (cloud, mut host) = FakeHetzner::with_host(options).await;
        let made = host.create_server("web-1").await;
        host.wait_for(&made, "completed").await;
        let mut descriptor = forge::descriptor("setup-server", &["job", "http"]);
        descriptor["grants"]["http_hosts"] = json!(["orders.example.org"]);
        let component = forge::described(&guest("orders"), &descriptor);
        let (status, added) =
            host.upload("accept_grants=true&replace_built_in=true", component).await;
        assert_eq!(status, 201, "{added}");
        if !settings.is_empty() {
            host.terminate().await;
            host.set(settings);
            host.restart().await;
        }
        Some(Self { host, book, _cloud: cloud })
    }

    /// A job that orders, whose host dies at this point. Another host has it then.
    async fn killed_at(&mut self, point: u64, boundary: &str, network: &str) -> String {
        self.host.terminate().await;
        assert!(self.host.restart_to_die(point).await);
        self.order(network).await;
        self.host.died();
        let log = self.host.log();
        let died = log.lines().filter_map(|line| line.strip_prefix(LAST_WORDS)).next_back();
        assert!(died.is_some_and(|died| died.starts_with(boundary)), "{died:?}");
        self.again().await
    }

    /// A job that orders, whose host is killed when the order has come and nothing was answered.
    async fn killed_while_it_waits(&mut self, network: &str) -> String {
        self.book.keep_silent(true);
        let before = self.book.orders();
        self.order(network).await;
        self.book.taken(before).await;
        self.host.crash();
        self.book.keep_silent(false);
        self.again().await
    }

    async fn order(&self, network: &str) {
        let body = json!({ "ssl_email": "ops@example.com", "network_name": network });
        let asked = self.host.request(Method::POST, "/api/servers/web-1/setup").json(&body);
        // A host that dies at once may answer or not.
        let _answer = asked.send().await;
    }

    async fn again(&mut self) -> String {
        let job = newest_job(&self.host.home().join("windlass.db"));
        self.host.restart().await;
        job
    }

    /// Somebody says what happened. Answers the job that goes on with it.
    async fn says(&self, job: &str, door: Door, resolve: &str) -> Value {
        match door {
            Door::Rest => {
                let (path, body) =
                    (format!("/api/jobs/{job}/retry"), json!({ "resolve": resolve }));
                let next = self.host.submit(Method::POST, &path, Some(body)).await;
                self.host.ended(&next).await
            }
            Door::Cli => {
                let mut command = program();
                command.arg("--home").arg(self.host.home());
                command.args(["--json", "job", "retry", job, "--resolve", resolve]);
                let ran = tokio::task::spawn_blocking(move || command.output());
                let said = ran.await.unwrap().unwrap().stdout;
                serde_json::from_slice(&said).unwrap_or_else(|error| panic!("{error}: {said:?}"))
            }
        }
    }

    /// The job is uncertain, and says of what, and what to do.
    async fn is_uncertain(&self, job: &str) {
        let job = self.host.wait_for(job, "uncertain").await;
        let failure = &job["failure"];
        let told = (&failure["code"], &failure["effects"][0]["function"]);
        assert_eq!(told, (&json!("uncertain"), &json!("http.send")), "{job:#}");
        assert_eq!(failure["effects"][0]["outcome"], "unknown", "{job:#}");
        assert!(job["error"].as_str().unwrap().contains("`http.send` may or may not"), "{job:#}");
    }
}

const ONCE: &str = "once";
const TWICE: &str = "twice-does-no-harm";

// The way to the server goes through this process, which waits for the host's death as well.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_not_sent_or_is_known_goes_on_by_itself() {
    let Some(mut shop) = Shop::open("an order that goes on by itself").await else { return };
    for (point, boundary) in [
        (CLAIMED, "claimed"),
        (BEFORE_INTENT, "before-intent http.send"),
        (AFTER_OUTCOME, "after-outcome http.send"),
        (BEFORE_END, "before-end"),
    ] {
        let before = shop.book.orders();
        let job = shop.killed_at(point, boundary, ONCE).await;
        let job = shop.host.wait_for(&job, "completed").await;
        assert_eq!(shop.book.orders(), before + 1, "{boundary}: {job:#}");
        assert_eq!(job["result"]["told"], format!("order {}", before + 1), "{boundary}: {job:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_knows_of_is_what_a_person_says_and_sent_once_at_most() {
    let Some(mut shop) = Shop::open("an order that nobody knows of").await else { return };
    let intent = (AFTER_INTENT, "after-intent http.send");
    let sent = (AFTER_SEND, "after-send http.send");
    for ((point, boundary), door, resolve, orders, asked) in [
        (intent, Door::Rest, "did_not_happen", 1, "POST"),
        (intent, Door::Cli, "did_not_happen", 1, "POST"),
        (intent, Door::Rest, "happened", 0, "GET"),
        (sent, Door::Rest, "happened", 1, "GET"),
        (sent, Door::Cli, "happened", 1, "GET"),
    ] {
        let before = shop.book.orders();
        let job = shop.killed_at(point, boundary, ONCE).await;
        shop.is_uncertain(&job).await;
        assert_eq!(shop.book.orders() - before, usize::from(point == AFTER_SEND), "{boundary}");
        let ended = shop.says(&job, door, resolve).await;
        let case = format!("{boundary}, {resolve} by {door:?}: {ended:#}");
        assert_eq!(ended["status"], "completed", "{case}");
        assert_eq!(ended["result"]["asked"], asked, "{case}");
        assert_eq!(shop.book.orders() - before, orders, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_came_and_was_never_answered_is_not_sent_again_unasked() {
    let Some(mut shop) = Shop::open("an order that was never answered").await else { return };
    let job = shop.killed_while_it_waits(ONCE).await;
    shop.is_uncertain(&job).await;
    // Looking once more finds out nothing.
    let (path, body) = (format!("/api/jobs/{job}/retry"), json!({}));
    let again = shop.host.submit(Method::POST, &path, Some(body)).await;
    shop.is_uncertain(&again).await;
    let ended = shop.says(&again, Door::Cli, "happened").await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(ended["result"]["told"], "1 orders", "{ended:#}");
    assert_eq!(shop.book.orders(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_may_come_twice_is_sent_again_without_asking() {
    let Some(mut shop) = Shop::open("an order that may come twice").await else { return };
    for (point, boundary, told) in [
        (AFTER_INTENT, "after-intent http.send", "order 1"),
        (AFTER_SEND, "after-send http.send", "order 3"),
    ] {
        let job = shop.killed_at(point, boundary, TWICE).await;
        let job = shop.host.wait_for(&job, "completed").await;
        assert_eq!(job["result"]["told"], told, "{job:#}");
    }
    let job = shop.killed_while_it_waits(TWICE).await;
    let job = shop.host.wait_for(&job, "completed").await;
    assert_eq!(job["result"]["told"], "order 5", "{job:#}");
    assert_eq!(shop.book.orders(), 5, "one, two and two");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_wrongly_of_an_order_changes_nothing() {
    let Some(mut shop) = Shop::open("what is said wrongly of an order").await else { return };
    let job = shop.killed_at(AFTER_SEND, "after-send http.send", ONCE).await;
    shop.is_uncertain(&job).await;
    let path = format!("/api/jobs/{job}/retry");
    for (body, wanted) in [
        (json!({ "from": "start" }), (409, "outcome_unknown")),
        (json!({ "from": "start", "resolve": "did_not_happen" }), (422, "invalid_request")),
        (json!({ "resolve": "unknown" }), (422, "invalid_request")),
    ] {
        let (status, answer) = shop.host.post(&path, body).await;
        assert_eq!((status, answer["code"].as_str().unwrap()), wanted, "{answer}");
    }
    let (status, answer) = shop.host.delete(&format!("/api/jobs/{job}")).await;
    assert_eq!((status, &answer["code"]), (409, &json!("job_finished")), "{answer}");
    // Of two who say it at once, one is heard.
    let says = |resolve: &str| shop.host.post(&path, json!({ "resolve": resolve }));
    let (one, other) = tokio::join!(says("happened"), says("happened"));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409], "{} {}", one.1, other.1);
    let accepted = if one.0 == 202 { one.1 } else { other.1 };
    let ended = shop.host.ended(accepted["job_id"].as_str().unwrap()).await;
    assert_eq!((&ended["status"], shop.book.orders()), (&json!("completed"), 1), "{ended:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_answer_comes_after_the_end_of_the_runs_time_is_known() {
    let test = "an order whose answer comes late";
    let short = [("WINDLASS_LIMIT_RUN_SECONDS", "1")];
    let Some(shop) = Shop::open_with(test, &short).await else { return };
    shop.book.keep_silent(true);
    let body = json!({ "ssl_email": "ops@example.com", "network_name": ONCE });
    let job = shop.host.submit(Method::POST, "/api/servers/web-1/setup", Some(body)).await;
    let is_late = |logs: &Value| logs.to_string().contains("its time is over");
    shop.host.until(&format!("/api/jobs/{job}/logs"), is_late).await;
    assert_eq!(shop.host.get(&format!("/api/jobs/{job}")).await.1["status"], "running");
    shop.book.keep_silent(false);
    // Nobody can stop it, and it was the last that its job asked for.
    let job = shop.host.wait_for(&job, "completed").await;
    assert_eq!((&job["result"]["told"], shop.book.orders()), (&json!("order 1"), 1), "{job:#}");
}

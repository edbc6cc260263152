//! One run: a host, what is outside of it, and the faults that come while its jobs run.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::host_process::TestHost;
use tests::proxy::{Direction, Strike};
use tests::workshop::guest;
use tokio::time::{Duration, Instant, Interval, interval, sleep_until};
use windlass::app::evidence::{LAST_WORDS, POINTS_PASSED};

use crate::outside::{Outside, SERVERS, ZONE};
use crate::plan::{Blow, Fate, Harm, Way};
use crate::verdict;

/// How long the jobs of a phase may take, whatever happens to them.
const DEADLINE: Duration = Duration::from_secs(240);

/// How long between two looks at them.
const LOOK: Duration = Duration::from_millis(20);

/// How long the receipts of finished commands may stay on their machines.
const REMOVAL: Duration = Duration::from_secs(60);

/// The number of a boundary that no host comes to: they are counted all the same.
const NEVER: u64 = u64::MAX;

/// The parts of a run; in each of them something is done for all servers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// They are bought.
    Create,
    /// Commands run on them, and they get their names.
    SetUp,
    /// They are deleted, and their names.
    Delete,
}

/// What an undisturbed run does and carries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    /// Boundaries that it came to.
    boundaries: u64,
    /// Bytes that went there and back, on each way.
    bytes: BTreeMap<Way, (u64, u64)>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    /// What kind of thing.
    pub(crate) kind: &'static str,
    /// In the middle of what.
    pub(crate) place: String,
}

/// What came of a run.
#[derive(Default)]
pub(crate) struct Ran {
    /// What went wrong with it on purpose.
    pub(crate) faults: Vec<Fault>,
    /// What is wrong with it; nothing when it came out right.
    pub(crate) wrong: Option<String>,
    /// Receipts of its commands that nobody has removed.
    pub(crate) receipts_left: usize,
    /// The host, with all that it logged.
    pub(crate) host: Option<TestHost>,
}

/// A run.
pub(crate) struct Storm {
    host: TestHost,
    outside: Outside,
    carried: Carried,
    /// After how many boundaries the next hosts die.
    deaths: VecDeque<u64>,
    /// What comes next on each way.
    blows: BTreeMap<Way, VecDeque<Blow>>,
    faults: Vec<Fault>,
    /// How many of the deaths in the host's log are among the faults.
    deaths_noted: usize,
    jobs: Vec<String>,
}

/// Something that the host is asked for, and what came of it.
struct Errand {
    method: Method,
    path: String,
    body: Option<Value>,
    job: Option<String>,
    is_completed: bool,
}

/// How errands stand.
enum Seen {
    Completed,
    NotYet,
    /// The host does not answer.
    Gone,
}

impl Storm {
    /// Everything is there, and nothing has begun.
    pub(crate) async fn gather(fate: &Fate, carried: &Carried) -> Self {
        let (outside, mut host) = tokio::join!(Outside::start(), TestHost::start());
        outside.introduce_to(&host).await;
        let query = "accept_grants=true&replace_built_in=true";
        let (status, added) = host.upload(query, errands().to_vec()).await;
        assert_eq!(status, 201, "{added}");
        host.terminate().await;
        let deaths = fate.deaths.iter().map(|share| 1 + share.of(carried.boundaries));
        let blows = fate.blows.iter().map(|(&way, blows)| (way, blows.clone().into()));
        let storm = Self {
            host,
            outside,
            carried: carried.clone(),
            deaths: deaths.collect(),
            blows: blows.collect(),
            faults: Vec::new(),
            deaths_noted: 0,
            jobs: Vec::new(),
        };
        Way::ALL.iter().for_each(|&way| storm.arm(way));
        storm
    }

    /// Runs to the end without any fault, and answers what it took.
    pub(crate) async fn measure(&mut self) -> Result<Carried> {
        self.rage().await?;
        let carried = |&way: &Way| (way, self.outside.proxy(way).carried());
        let log = self.host.log();
        let mut told = log.lines().filter_map(|line| line.strip_prefix(POINTS_PASSED));
        let boundaries = told.next_back().context("the host did not count")?.parse()?;
        Ok(Carried { boundaries, bytes: Way::ALL.iter().map(carried).collect() })
    }

    /// Runs to the end, whatever happens.
    pub(crate) async fn rage(&mut self) -> Result<()> {
        self.rise().await?;
        for phase in [Phase::Create, Phase::SetUp, Phase::Delete] {
            self.phase(phase).await.with_context(|| format!("{phase:?}"))?;
            verdict::check(phase, &self.outside.counted())?;
        }
        // What is on disk counts: another host tells.
        self.host.terminate().await;
        self.note_deaths();
        self.host.restart().await;
        verdict::check_records(&self.host, &self.jobs).await?;
        verdict::check(Phase::Delete, &self.outside.counted())
    }

    /// What came of it. Takes away what is left on this machine.
    pub(crate) fn end(self, came: Result<()>) -> Ran {
        let receipts = verdict::receipts(&self.jobs);
        for receipt in &receipts {
            let removed = std::fs::remove_dir_all(receipt);
            removed.or_else(|_| std::fs::remove_file(receipt)).unwrap_or_default();
        }
        Ran {
            faults: self.faults,
            wrong: came.err().map(|error| format!("{error:#}")),
            receipts_left: receipts.len(),
            host: Some(self.host),
        }
    }

    async fn phase(&mut self, phase: Phase) -> Result<()> {
        let mut errands = Errand::of(phase);
        let (mut looks, until) = (interval(LOOK), Instant::now() + DEADLINE);
        let mut completed = None;
        loop {
            tokio::select! {
                way = self.outside.struck() => self.suffer(way).await?,
                () = sleep_until(until) => bail!("it is stuck: {}", told(&errands)),
                seen = look(&self.host, &mut errands, &mut looks) => match seen? {
                    Seen::Completed => {
                        let since: &mut Instant = completed.get_or_insert_with(Instant::now);
                        if since.elapsed() > REMOVAL || errands.iter().all(Errand::is_cleaned_up) {
                            break;
                        }
                    }
                    Seen::NotYet => {}
                    Seen::Gone => {
                        self.host.crash();
                        ensure!(self.note_deaths() == 1, "a host ended that nobody killed");
                        self.rise().await?;
                    }
                },
            }
        }
        let is_clean = errands.iter().all(Errand::is_cleaned_up);
        ensure!(is_clean, "receipts of finished commands are left");
        self.jobs.extend(errands.into_iter().filter_map(|errand| errand.job));
        Ok(())
    }

    /// Starts a host, and another one where that dies before it listens.
    async fn rise(&mut self) -> Result<()> {
        loop {
            let death = self.deaths.pop_front().unwrap_or(NEVER);
            if self.host.restart_to_die(death).await {
                return Ok(());
            }
            self.host.died();
            ensure!(self.note_deaths() == 1, "a host did not start");
        }
    }

    /// A proxy struck: what was planned there happens.
    async fn suffer(&mut self, way: Way) -> Result<()> {
        let planned = self.blows.get_mut(&way).and_then(VecDeque::pop_front);
        let Blow { harm, direction, after: _ } = planned.context("a proxy struck unasked")?;
        let (kind, proxy) = (harm.name(), self.outside.proxy(way));
        self.faults.push(Fault { kind, place: place(way, direction) });
        match harm {
            Harm::Cut => self.arm(way),
            Harm::Restart => {
                self.outside.restart_sshd(way).await;
                self.arm(way);
            }
            Harm::Kill => {
                self.host.crash();
                // It may have come to its own end in the same moment.
                proxy.cut();
                self.note_deaths();
                self.arm(way);
                self.rise().await?;
            }
        }
        Ok(())
    }

    /// Has the proxy on this way count anew, towards what comes next there.
    fn arm(&self, way: Way) {
        let next = self.blows.get(&way).and_then(VecDeque::front);
        let bytes = self.carried.bytes.get(&way).copied().unwrap_or_default();
        let strike = next.map(|blow| Strike {
            direction: blow.direction,
            byte: blow.after.of(if blow.direction == Direction::There { bytes.0 } else { bytes.1 }),
            harm: if blow.harm == Harm::Cut {
                tests::proxy::Harm::Cut
            } else {
                tests::proxy::Harm::Stall
            },
        });
        self.outside.proxy(way).arm(strike);
    }

    /// Takes the deaths that are new in the host's log among the faults, and answers how many.
    fn note_deaths(&mut self) -> usize {
        let log = self.host.log();
        let deaths = log.lines().filter_map(|line| line.strip_prefix(LAST_WORDS));
        let before = self.faults.len();
        let faults = deaths.skip(self.deaths_noted).map(|boundary| Fault {
            kind: Harm::Kill.name(),
            place: format!("{BOUNDARY}{boundary}"),
        });
        self.faults.extend(faults);
        let new = self.faults.len() - before;
        self.deaths_noted += new;
        new
    }
}

/// What the place of a death at a boundary begins with.
pub(crate) const BOUNDARY: &str = "at ";

fn place(way: Way, direction: Direction) -> String {
    match direction {
        Direction::There => format!("within a request to {}", way.name()),
        Direction::Back => format!("within an answer of {}", way.name()),
    }
}

/// The component that runs commands in place of a setup.
fn errands() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| guest("errands"))
}

/// Asks for what was not asked for yet, and looks at the rest.
async fn look(host: &TestHost, errands: &mut [Errand], looks: &mut Interval) -> Result<Seen> {
    looks.tick().await;
    for errand in errands.iter_mut().filter(|errand| !errand.is_completed) {
        let request = match &errand.job {
            Some(job) => host.request(Method::GET, &format!("/api/jobs/{job}")),
            None => errand.request(host),
        };
        let Ok(response) = request.send().await else { return Ok(Seen::Gone) };
        let status = response.status().as_u16();
        let Ok(answer) = response.json::<Value>().await else { return Ok(Seen::Gone) };
        if errand.job.is_none() {
            let job = answer["job_id"].as_str().filter(|_| status == 202);
            errand.job = Some(job.with_context(|| format!("{status}: {answer}"))?.to_owned());
            continue;
        }
        match answer["status"].as_str() {
            Some("completed") => errand.is_completed = true,
            Some("queued" | "running") => {}
            _ => bail!("{status}: {answer:#}"),
        }
    }
    let is_over = errands.iter().all(|errand| errand.is_completed);
    Ok(if is_over { Seen::Completed } else { Seen::NotYet })
}

fn told(errands: &[Errand]) -> String {
    let told = |it: &Errand| format!("{} {} {:?} {}", it.method, it.path, it.job, it.is_completed);
    errands.iter().map(told).collect::<Vec<_>>().join(", ")
}

impl Errand {
    /// What is asked for in this phase.
    fn of(phase: Phase) -> Vec<Self> {
        let errand = |method: Method, path: String, body| Self {
            method,
            path,
            body,
            job: None,
            is_completed: false,
        };
        let orders = Outside::orders().into_iter();
        match phase {
            Phase::Create => orders
                .map(|order| errand(Method::POST, "/api/servers".to_owned(), Some(order)))
                .collect(),
            Phase::SetUp => SERVERS
                .map(|name| {
                    let names = json!({
                        "ssl_email": "ops@example.com", "zone_name": ZONE, "subdomain": name,
                    });
                    errand(Method::POST, format!("/api/servers/{name}/setup"), Some(names))
                })
                .into(),
            Phase::Delete => SERVERS
                .map(|name| errand(Method::DELETE, format!("/api/servers/{name}"), None))
                .into(),
        }
    }

    /// Whether no receipts of its commands are left.
    fn is_cleaned_up(&self) -> bool {
        verdict::receipts(self.job.as_slice()).is_empty()
    }

    /// The same request again is the same job.
    fn request(&self, host: &TestHost) -> reqwest::RequestBuilder {
        let Self { method, path, body, .. } = self;
        let name = body.as_ref().and_then(|body| body["name"].as_str()).unwrap_or_default();
        let request = host.request(method.clone(), path);
        let request = request.header("Idempotency-Key", format!("{method}-{path}-{name}"));
        if let Some(body) = body { request.json(body) } else { request }
    }
}

impl Harm {
    /// What it is called among the faults.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cut => "connection cut",
            Self::Kill => "host killed",
            Self::Restart => "sshd restarted",
        }
    }
}

impl Ran {
    /// One of which nothing is known but this.
    pub(crate) fn broken(why: String) -> Self {
        Self { wrong: Some(why), ..Self::default() }
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} boundaries", self.boundaries)?;
        for (way, (there, back)) in &self.bytes {
            write!(f, "; {way:?}: {there} bytes there, {back} back")?;
        }
        Ok(())
    }
}

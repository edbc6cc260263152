//! `windlass serve`: runs a host until it is told to end.

use std::io::{self, IsTerminal};

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::app::App;
use crate::app::home;
use crate::cli::connection::usage;
use crate::cli::terminal::Terminal;
use crate::cli::{Exit, Refusal};
use crate::config::{Config, Flags, agents};
use crate::http;
use crate::model::limits::{Limit, Limits};

/// What a host logs unless told otherwise. To `rmcp` it is an error when an agent leaves in mid-wait.
const LOG: &str = "warn,windlass=info,rmcp::service=off";

/// Libraries that would log what passes through them, requests and secrets with them.
const QUIET: [&str; 6] =
    ["h2=info", "hyper=info", "hyper_util=info", "reqwest=info", "russh=info", "rustls=info"];

/// The help of `--listen`.
const LISTEN: &str = "Address and port; port 0 lets the system choose [env: WINDLASS_LISTEN] \
                      [default: 127.0.0.1:8000]";

/// Examples, after the help.
const EXAMPLES: &str = "Examples:\n  \
windlass serve\n  \
windlass --home /srv/windlass serve --listen 0.0.0.0:8000   # put TLS in front of it\n  \
WINDLASS_LIMIT_MEMORY_MIB=64 windlass serve";

/// Flags of `serve`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Address and port; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", help = LISTEN)]
    listen: Option<String>,
    /// Die at the point of this number of the jobs' runs, as `windlass torture` wants it
    #[arg(long, hide = true)]
    die_at: Option<u64>,
    /// Cancel the job that comes to the point of this number, as `windlass torture` wants it
    #[arg(long, hide = true)]
    cancel_at: Option<u64>,
}

/// What stands after the help.
pub(super) fn after_help() -> String {
    let mut text = format!("{EXAMPLES}\n\nLimits of plugins, as variables of the environment:");
    for limit in Limits::ALL {
        let &Limit { setting, what, least, most, default, .. } = limit;
        let usual = limit.shown(default);
        let range = format!("[{least} to {most}; default: {usual}]");
        text.extend(["\n  ", setting, ": ", what, " ", &range]);
    }
    text.push_str("\n\nHow agents are treated, as variables of the environment:");
    agents::told().for_each(|line| text.extend(["\n  ", line.as_str()]));
    text
}

/// Runs a host until SIGTERM or SIGINT.
pub(super) async fn serve(
    arguments: Arguments,
    mut flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    flags.listen = arguments.listen;
    (flags.die_at, flags.cancel_at) = (arguments.die_at, arguments.cancel_at);
    let config = Config::read(&flags).map_err(|error| usage(&error))?;
    log(config.log.as_deref().unwrap_or(LOG))?;
    let (mut interrupt, mut terminate) = signals().map_err(|error| {
        Refusal::new(Exit::Refused, format!("This process cannot take signals: {error}."))
    })?;
    let listener = listen(&config).await?;
    let address = listener.local_addr().map_err(|error| cannot_listen(&config, &error))?;
    let app = App::start(&config).await?;
    app.announce(address)?;
    terminal.line(&format!("listening on http://{address}"));
    let end = CancellationToken::new();
    let server = http::serve(app.clone(), listener, end.clone());
    tokio::pin!(server);
    let served = tokio::select! {
        served = &mut server => served,
        _ = interrupt.recv() => ended(&end, server).await,
        _ = terminate.recv() => ended(&end, server).await,
    };
    app.stop().await;
    info!("the host has ended; jobs that ran go on with the next one");
    served.map_err(|error| Refusal::new(Exit::Refused, format!("The host stopped: {error}.")))
}

/// Starts the log, on standard error.
pub(super) fn log(filter: &str) -> Result<(), Refusal> {
    let wrong = |error: String| {
        Refusal::new(Exit::Usage, format!("`{filter}` is no value for WINDLASS_LOG: {error}."))
    };
    let filter = QUIET.iter().fold(EnvFilter::try_new(filter), |filter, quiet| {
        Ok(filter?.add_directive(quiet.parse()?))
    });
    let filter = filter.map_err(|error: ParseError| wrong(error.to_string()))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init()
        .map_err(|error| wrong(error.to_string()))
}

async fn ended(
    end: &CancellationToken,
    server: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    info!("ending: no more requests are taken");
    end.cancel();
    server.await
}

fn signals() -> io::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
}

async fn listen(config: &Config) -> Result<TcpListener, Refusal> {
    TcpListener::bind(&config.listen).await.map_err(|error| cannot_listen(config, &error))
}

fn cannot_listen(config: &Config, error: &io::Error) -> Refusal {
    let listen = &config.listen;
    let message = match error.kind() {
        io::ErrorKind::AddrInUse => match home::occupant(&config.home) {
            Some(other) => format!(
                "{listen} is in use; a host with process id {} runs on this home already.",
                other.pid
            ),
            None => format!("{listen} is in use by another program: choose another --listen."),
        },
        io::ErrorKind::PermissionDenied => {
            format!("This user may not listen on {listen}: choose a port above 1023.")
        }
        _ => format!("The host cannot listen on `{listen}`: {error}."),
    };
    Refusal::new(Exit::Refused, message).with_next("windlass serve --listen 127.0.0.1:0")
}

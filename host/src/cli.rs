//! The command line: one subcommand runs a host, the others are clients of its REST API.

pub mod connection;
pub mod job;
mod panics;
pub mod progress;
pub mod provider;
pub mod serve;
pub mod server;
pub mod terminal;
pub mod token;
mod vault;
pub mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::terminal::Terminal;
use crate::config::Flags;
use crate::error::{Error, sentence};
use crate::http;

/// Turns long, dangerous work on servers into durable jobs.
#[derive(Parser)]
#[command(name = "windlass", version, about, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[arg(long, global = true, value_name = "DIRECTORY", help = HOME)]
    home: Option<PathBuf>,
    #[arg(long, global = true, help = URL)]
    url: Option<String>,
    #[arg(long, global = true, value_name = "FILE", help = PASSPHRASE_FILE)]
    passphrase_file: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const HOME: &str = "Where the host keeps everything [env: WINDLASS_HOME] [default: ~/.livchat]";
const URL: &str = "The host to talk to, instead of the one of the home [env: WINDLASS_URL]";
const PASSPHRASE_FILE: &str =
    "A file with the passphrase of the home's secrets [env: WINDLASS_PASSPHRASE]";

/// What the exit code says.
const EXIT_CODES: &str = "Without a running host, a command starts one for as long as it takes.\n\
Exit codes: 0 done, 1 the job failed, 2 usage, 3 the host cannot be reached, 4 refused.";

#[derive(Subcommand)]
enum Command {
    /// Run a host
    Serve(serve::Arguments),
    /// Create, list, use and delete servers
    #[command(subcommand)]
    Server(server::Command),
    /// Look at jobs, and stop them
    #[command(subcommand)]
    Job(job::Command),
    /// Say who may talk to the host
    #[command(subcommand)]
    Token(token::Command),
    /// Configure the host
    #[command(subcommand)]
    Config(provider::Command),
    /// Change the key that secrets are sealed with
    #[command(subcommand)]
    Vault(vault::Command),
    /// Print the API's OpenAPI description
    Openapi,
}

/// Why a command did not do it.
#[derive(Debug)]
pub(crate) struct Refusal {
    exit: Exit,
    message: String,
    next: Vec<String>,
}

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A job ended otherwise than wanted.
    JobFailed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Nobody answers.
    Unreachable = 3,
    /// The host says no.
    Refused = 4,
}

impl Refusal {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), next: Vec::new() }
    }

    fn with_next(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(Exit::Refused, error.message())
    }
}

/// Runs the program: reads the command line, does what it says, and answers with an exit code.
pub fn run() -> ExitCode {
    panics::hide_words();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let terminal = Terminal::new(arguments.json);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(dispatch(arguments, &terminal));
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            ended
        }
        Err(error) => Err(Refusal::new(Exit::Refused, sentence(&error.to_string()))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            terminal.complain(&refusal.message, &refusal.next);
            ExitCode::from(refusal.exit as u8)
        }
    }
}

async fn dispatch(arguments: Arguments, terminal: &Terminal) -> Result<(), Refusal> {
    let Arguments { home, url, passphrase_file, json: _, command } = arguments;
    let flags = Flags { home, listen: None, url, passphrase_file };
    match command {
        Command::Serve(arguments) => Box::pin(serve::serve(arguments, flags, terminal)).await,
        Command::Server(command) => Box::pin(server::run(command, flags, terminal)).await,
        Command::Job(command) => Box::pin(job::run(command, flags, terminal)).await,
        Command::Token(command) => Box::pin(token::run(command, flags, terminal)).await,
        Command::Config(command) => Box::pin(provider::run(command, flags, terminal)).await,
        Command::Vault(command) => Box::pin(vault::run(command, flags, terminal)).await,
        Command::Openapi => {
            terminal.json(http::document());
            Ok(())
        }
    }
}

/// Help and version are no mistakes.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    let code = if error.use_stderr() || printed.is_err() { Exit::Usage as u8 } else { 0 };
    ExitCode::from(code)
}

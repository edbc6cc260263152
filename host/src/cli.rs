//! The command line: one subcommand runs a host, the others are clients of its REST API.

mod app;
mod backup;
pub mod connection;
mod doctor;
pub mod job;
mod mcp;
mod panics;
mod plan;
mod plugin;
pub mod progress;
pub mod provider;
pub mod serve;
pub mod server;
mod sheet;
pub mod terminal;
pub mod token;
mod torture;
mod vault;
pub mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app::plugins::{Allowance, compile_here};
use crate::cli::connection::{Connection, Need};
use crate::cli::terminal::Terminal;
use crate::config::Flags;
use crate::error::{Error, sentence};
use crate::http;
use crate::model::names::InvalidName;

/// Turns long, dangerous work on servers into durable jobs.
#[derive(Parser)]
#[command(name = "windlass", version, about, max_term_width = 100, after_help = AFTER)]
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

/// How completions get into a shell.
const COMPLETION: &str = "Examples:\n  \
source <(windlass completion bash)\n  \
windlass completion zsh > ~/.zfunc/_windlass\n  \
windlass completion fish > ~/.config/fish/completions/windlass.fish";

/// Examples, and what the exit code says.
const AFTER: &str = "Examples:\n  windlass server create web-1\n  windlass job list --status \
    running\n  windlass --url https://host.example.com server list   # with WINDLASS_TOKEN\n\n\
    Without a running host, a command starts one for as long as it takes.\n\
Exit codes: 0 done, 1 the job or command failed, 2 usage, 3 the host cannot be reached, 4 refused.";

#[derive(Subcommand)]
enum Command {
    /// Run a host
    #[command(after_help = serve::after_help())]
    Serve(serve::Arguments),
    /// Make the home with its database and keys; again changes nothing
    #[command(after_help = "Examples:\n  windlass init\n  windlass --home /srv/windlass init")]
    Init,
    /// Create, list, use and delete servers
    #[command(subcommand, after_help = server::EXAMPLES)]
    Server(server::Command),
    /// Run a command on a server: short for `server exec`
    #[command(after_help = server::EXEC_EXAMPLES)]
    Exec(server::Exec),
    /// Install, list and remove apps
    #[command(subcommand, after_help = app::EXAMPLES)]
    App(app::Command),
    /// Tell what a command would do, and do nothing
    #[command(subcommand, long_about = plan::HELP, after_help = plan::EXAMPLES)]
    Plan(plan::Command),
    /// Look at jobs, stop them, and try them again
    #[command(subcommand, after_help = job::EXAMPLES)]
    Job(job::Command),
    /// Add, activate, try and remove plugins
    #[command(subcommand, after_help = plugin::EXAMPLES)]
    Plugin(plugin::Command),
    /// Say who may talk to the host
    #[command(subcommand, after_help = token::EXAMPLES)]
    Token(token::Command),
    /// Configure the host
    #[command(subcommand, after_help = provider::EXAMPLES)]
    Config(provider::Command),
    /// Change the key that secrets are sealed with
    #[command(subcommand, after_help = vault::EXAMPLES)]
    Vault(vault::Command),
    /// Copy the database into a file, while the host goes on
    #[command(long_about = backup::BACKUP, after_help = backup::BACKUP_EXAMPLES)]
    Backup(backup::Backup),
    /// Put a backup in the place of the database; no host may run
    #[command(long_about = backup::RESTORE, after_help = backup::RESTORE_EXAMPLES)]
    Restore(backup::Restore),
    /// Look at the home and say what is wrong and what to do
    #[command(long_about = doctor::HELP, after_help = doctor::EXAMPLES)]
    Doctor(doctor::Arguments),
    /// Kill a host at every point of a job's run and compare what came of it
    #[command(long_about = torture::HELP, after_help = torture::EXAMPLES)]
    Torture(torture::Arguments),
    /// Print what makes a shell complete commands
    #[command(after_help = COMPLETION)]
    Completion {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Serve an agent on standard input and output (MCP)
    #[command(after_help = mcp::EXAMPLES)]
    Mcp(mcp::Arguments),
    /// Print the API's OpenAPI description
    #[command(after_help = "Examples:\n  windlass openapi > openapi.json")]
    Openapi,
    /// Compile the component on standard input; what a host starts for plugins from outside
    #[command(name = "__compile", hide = true)]
    Compile {
        /// Where compiled code is kept
        cache: PathBuf,
        /// Seconds of a processor that it may take
        seconds: u64,
        /// Bytes of memory
        memory: u64,
        /// Bytes of the file with its code
        file: u64,
    },
}

/// Why a command did not do it.
#[derive(Debug)]
pub(crate) struct Refusal {
    exit: Exit,
    /// For programs.
    code: String,
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
        let code = match exit {
            Exit::JobFailed => "job_failed",
            Exit::Usage => "usage",
            Exit::Unreachable => "host_unreachable",
            Exit::Refused => "refused",
        };
        Self { exit, code: code.to_owned(), message: message.into(), next: Vec::new() }
    }

    fn with_next(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }
}

/// Routes help programs; people at a command line know `--help`.
fn is_command(next: &str) -> bool {
    next.starts_with("windlass ")
}

impl From<InvalidName> for Refusal {
    fn from(why: InvalidName) -> Self {
        Self::new(Exit::Usage, sentence(&why.to_string()))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let code = error.code().to_owned();
        let next = error.next().iter().filter(|next| is_command(next)).cloned().collect();
        Self { exit: Exit::Refused, code, message: error.message().to_owned(), next }
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
            terminal.complain(&refusal);
            ExitCode::from(refusal.exit as u8)
        }
    }
}

async fn dispatch(arguments: Arguments, terminal: &Terminal) -> Result<(), Refusal> {
    let Arguments { home, url, passphrase_file, json: _, command } = arguments;
    let flags = Flags { home, url, passphrase_file, ..Flags::default() };
    match command {
        Command::Serve(arguments) => Box::pin(serve::serve(arguments, flags, terminal)).await,
        Command::Init => Box::pin(init(flags, terminal)).await,
        Command::Exec(exec) => {
            let command = server::Command::Exec(exec);
            Box::pin(server::run(command, flags, terminal)).await
        }
        Command::Server(command) => Box::pin(server::run(command, flags, terminal)).await,
        Command::App(command) => Box::pin(app::run(command, flags, terminal)).await,
        Command::Plan(command) => Box::pin(plan::run(command, flags, terminal)).await,
        Command::Job(command) => Box::pin(job::run(command, flags, terminal)).await,
        Command::Plugin(command) => Box::pin(plugin::run(command, flags, terminal)).await,
        Command::Token(command) => Box::pin(token::run(command, flags, terminal)).await,
        Command::Config(command) => Box::pin(provider::run(command, flags, terminal)).await,
        Command::Vault(command) => Box::pin(vault::run(command, flags, terminal)).await,
        Command::Backup(file) => Box::pin(backup::backup(file, flags, terminal)).await,
        Command::Restore(file) => Box::pin(backup::restore(file, flags, terminal)).await,
        Command::Doctor(arguments) => Box::pin(doctor::run(arguments, flags, terminal)).await,
        Command::Torture(arguments) => Box::pin(torture::torture(arguments, terminal)).await,
        Command::Completion { shell } => {
            let mut program = Arguments::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut program, "windlass", &mut script);
            terminal.line(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
        Command::Mcp(arguments) => Box::pin(mcp::run(arguments, flags)).await,
        Command::Openapi => {
            terminal.json(http::document());
            Ok(())
        }
        Command::Compile { cache, seconds, memory, file } => {
            let allowance = Allowance { seconds, memory, file };
            terminal.line(&compile_here(&cache, allowance));
            Ok(())
        }
    }
}

/// Makes the home, or says that there is one.
async fn init(flags: Flags, terminal: &Terminal) -> Result<(), Refusal> {
    let host = Connection::open(&flags, Need::Looking).await?;
    let made = host.post("/api/init", &serde_json::json!({})).await;
    host.close().await;
    let made = made?;
    if terminal.is_json() {
        terminal.json(&made);
    } else {
        let folder = terminal::text(&made, "/data/config_dir");
        terminal.say(&format!("The home is {folder}. Try next:\n  windlass server create web-1"));
    }
    Ok(())
}

/// Help and version are no mistakes.
fn usage(error: &clap::Error) -> ExitCode {
    // A program that reads JSON reads it of its own mistakes too.
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let told = error.to_string();
        let told = told.split("\n\n").next().unwrap_or_default();
        let words: Vec<&str> = told.split_whitespace().collect();
        let words = words.join(" ");
        let message = sentence(words.strip_prefix("error: ").unwrap_or(&words));
        let refusal = Refusal::new(Exit::Usage, message).with_next("windlass --help");
        Terminal::new(true).complain(&refusal);
        return ExitCode::from(Exit::Usage as u8);
    }
    let printed = error.print();
    let code = if error.use_stderr() || printed.is_err() { Exit::Usage as u8 } else { 0 };
    ExitCode::from(code)
}

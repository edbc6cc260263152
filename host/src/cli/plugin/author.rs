//! What those do who write plugins. None of it needs a host.

use std::path::PathBuf;

use crate::cli::plugin::{inspect, new, pack};
use crate::cli::terminal::Terminal;
use crate::cli::{Exit, Refusal};

/// What can be done without a host.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Make a plugin of a recipe, or put its descriptor into a component
    #[command(long_about = PACK, after_help = PACK_EXAMPLES)]
    Pack {
        /// The folder with recipe.yaml and compose.yaml, or with descriptor.json
        folder: PathBuf,
        /// The component, where the folder has code of its own
        #[arg(long, value_name = "FILE")]
        component: Option<PathBuf>,
        /// Where the plugin goes; `<name>.wasm` where nothing is said
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show what a plugin says of itself, wants and imports
    #[command(
        after_help = "Examples:\n  windlass plugin inspect my-app.wasm\n  windlass plugin inspect my-app.wasm --wit"
    )]
    Inspect {
        /// The component
        file: PathBuf,
        /// Print the interfaces that it imports and exports, as WIT
        #[arg(long)]
        wit: bool,
    },
    /// Begin a plugin: a folder that can be built as it is
    #[command(
        after_help = "Examples:\n  windlass plugin new my-app\n  windlass plugin new my-app --language rust"
    )]
    New {
        /// Lower-case with dashes; the app's name
        name: String,
        /// What it is written in
        #[arg(long, value_enum, default_value = "recipe")]
        language: Language,
    },
}

/// The help of `pack`.
const PACK: &str = "Make a plugin of a recipe, or put its descriptor into a component.\n\nA folder with \
recipe.yaml and compose.yaml is checked and becomes a plugin without any compiler. One with \
descriptor.json gets it put into its component, which --component names.";

const PACK_EXAMPLES: &str = "Examples:\n  windlass plugin pack my-app\n  windlass plugin pack my-app \
    --component target/my_app.wasm --output my-app.wasm";

/// What a plugin can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Language {
    /// Data alone, without any compiler
    Recipe,
    /// Rust, with the SDK
    Rust,
    /// JavaScript, with componentize-js
    Javascript,
    /// Python, with componentize-py
    Python,
}

/// Does it.
pub(super) fn run(command: Command, terminal: &Terminal) -> Result<(), Refusal> {
    match command {
        Command::Pack { folder, component, output } => {
            pack::run(&folder, component.as_deref(), output, terminal)
        }
        Command::Inspect { file, wit } => inspect::run(&file, wit, terminal),
        Command::New { name, language } => new::run(&name, language, terminal),
    }
}

/// A file that cannot be read or written.
pub(super) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Refusal {
    refused(&format!("Cannot {what} {}: {error}.", path.display()))
}

pub(super) fn refused(message: &str) -> Refusal {
    Refusal::new(Exit::Refused, message)
}
